"""Read and write small files of results, whole or not at all."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Dict, Optional

import torch


def read_json(path: Path, needed: Optional[str] = None) -> Dict[str, Any]:
    """Read a file that :func:`write_json` wrote.

    Args:
        path (Path): The file.
        needed (str, optional): A field that it has.

    Returns:
        dict: Its content.

    Raises:
        ValueError: Something else has been there; names the file.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if isinstance(content, dict) and (needed is None or needed in content):
            return content
        problem = f'no {needed or "dict"} in it'
    except ValueError as error:
        problem = str(error)
    raise ValueError(f'{path} is damaged ({problem}); remove it to have it made again')


def write_json(path: Path, content: Any) -> None:
    """Write a file whole or not at all.

    Args:
        path (Path): The file.
        content (Any): What JSON keeps.
    """
    write_text(path, json.dumps(content, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all.

    Args:
        path (Path): The file; its folder is made.
        text (str): Its content.
    """
    _replace(path, lambda file: file.write(text.encode()))


def save_checkpoint(path: Path, content: Dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        path (Path): The file; its folder is made.
        content (dict): What ``torch.save`` takes.
    """
    _replace(path, lambda file: torch.save(content, file))


def digest_file(path: Path) -> str:
    """Hash a file by SHA-256.

    Args:
        path (Path): The file.

    Returns:
        str: Hexadecimal digits.
    """
    result = hashlib.sha256()
    with path.open('rb') as file:
        for part in iter(lambda: file.read(1 << 20), b''):
            result.update(part)
    return result.hexdigest()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Make a folder, for one process at a time to write into.

    Args:
        folder (Path): The folder.

    Raises:
        ValueError: Another process is writing into it.
        OSError: It cannot be made.
    """
    import fcntl  # not everywhere, and not for all scripts

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f'{folder} is in use by another process') from error
        yield


def _replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside a file, then put it in its place; a failure leaves nothing.

    Raises:
        OSError: The file is no ordinary one, such as a pipe or a link, or cannot be written.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(f'{path} is no ordinary file')
    path.parent.mkdir(parents=True, exist_ok=True)
    # under a name of its own, which nobody can have planted
    number, draft = tempfile.mkstemp(prefix=f'{path.name}.', dir=path.parent)
    try:
        with os.fdopen(number, 'wb') as file:
            write(file)
        os.chmod(draft, 0o666 & ~_umask())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _umask() -> int:
    """The process's mask of new files, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
