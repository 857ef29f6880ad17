"""Folders that one process at a time writes into."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Dict

_NO_WAIT = getattr(os, 'O_NONBLOCK', 0)
# The locks that this process holds: folder -> open file.
_HELD: Dict[str, IO[str]] = {}


@contextmanager
def only_one(folder: Path, wait: bool = False) -> Iterator[None]:
    """Make a folder, for one command at a time to write into.

    The kernel releases the lock when the process ends, however it ends. Processes forked from it do not keep
    the lock. Where the file system has no locks, the folder is made and nothing is locked.

    Args:
        folder (Path): The folder.
        wait (bool): Wait for the other command's end, rather than fail. Defaults to False.

    Raises:
        ValueError: Another process is writing into it; names that process.
        OSError: It cannot be made, or nothing can be written into it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, key = folder / 'lock', str(folder.resolve())
    # follows no link and waits for no pipe that was planted there
    number = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, 'O_NOFOLLOW', 0) | _NO_WAIT, 0o666)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(f'{path} is no ordinary file')
    with os.fdopen(number, 'r+', encoding='utf-8') as lock:
        _lock(lock, folder, wait)
        lock.truncate(0)
        lock.write(f'process {os.getpid()} on {socket.gethostname()}')
        lock.flush()
        _HELD[key] = lock
        try:
            yield
        finally:
            _HELD.pop(key, None)


def is_held(folder: Path) -> bool:
    """Whether this process itself is within :func:`only_one` of a folder."""
    return str(folder.resolve()) in _HELD


def _lock(lock: IO[str], folder: Path, wait: bool) -> None:
    """Lock an open file, or tell who has locked it."""
    try:
        import fcntl  # not everywhere
    except ImportError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            return
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        who = lock.read(200) or 'another process'
        raise ValueError(f'{folder} is in use by {who}; wait for its end, or take another folder') from error


def _forget_locks() -> None:
    """In a forked process, such as a dataloader's: leave the locks to the process that took them."""
    for lock in _HELD.values():
        lock.close()
    _HELD.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_locks)
