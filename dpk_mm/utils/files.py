"""Read and write files, whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Dict, Optional

import torch

# The most that a file of results may have: ours have kilobytes.
LARGEST_JSON = 64 << 20


def read_json(path: Path, needed: Optional[str] = None) -> Dict[str, Any]:
    """Read a file that :func:`write_json` wrote.

    Args:
        path (Path): The file.
        needed (str, optional): A field that it has.

    Returns:
        dict: Its content.

    Raises:
        ValueError: Something else has been there, or it is larger than :data:`LARGEST_JSON`; names the file.
    """
    try:
        content = json.loads(read_text(path, LARGEST_JSON))
        if isinstance(content, dict) and (needed is None or needed in content):
            return content
        problem = f'no {needed or "dict"} in it'
    except RecursionError:
        problem = 'it is nested too deeply'
    except ValueError as error:
        problem = str(error)
    raise ValueError(f'{path} is damaged ({problem}); remove it to have it made again')


def read_text(path: Path, limit: int) -> str:
    """Read a text that is not too large.

    Args:
        path (Path): An ordinary file.
        limit (int): The most bytes that it may have.

    Returns:
        str: Its content, decoded from UTF-8.

    Raises:
        ValueError: It has more bytes, is no ordinary file, or no UTF-8; names the file.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f'{path} is no ordinary file')  # reading a pipe would wait for ever
    with path.open('rb') as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f'{path} has {path.stat().st_size:,} bytes; {limit:,} are allowed')
    return content.decode('utf-8')


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


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written later.

    Args:
        path (Path): The file; its folder is made.

    Raises:
        OSError: It is no ordinary file, or its folder cannot be made or written into.
    """
    _check_ordinary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path.parent):
        pass


def put_in_place(draft: Path, path: Path) -> None:
    """Give a file, or a folder of files, its name once it is safe on the disk.

    Args:
        draft (Path): What was written, beside ``path``.
        path (Path): Its name; what has had the name is replaced.
    """
    files = [file for file in draft.rglob('*') if file.is_file()] if draft.is_dir() else [draft]
    for file in [*files, *([draft] if draft.is_dir() else [])]:
        _sync(file)
    old = path.with_name(f'.{path.name}.old.draft')
    if path.is_dir() and not path.is_symlink():  # which takes long to remove, so one of both is whole always
        remove(old)
        os.replace(path, old)
    os.replace(draft, path)
    _sync(path.parent)
    remove(old)


def restore_replaced(folder: Path) -> None:
    """Give folders their name back that :func:`put_in_place` had taken away when its process was killed."""
    for old in folder.glob('.*.old.draft'):
        path = old.with_name(old.name[1 : -len('.old.draft')])
        if not path.exists():
            with suppress(FileNotFoundError):  # another process was faster
                os.replace(old, path)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_file():
            raise
        return  # a system that opens no folders
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that does not know how
            raise
    finally:
        os.close(number)


def _check_ordinary(path: Path) -> None:
    """Refuse a link, a pipe and the like."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OSError(f'{path} is no ordinary file')


def _replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write beside a file, then put it in its place; a failure leaves nothing.

    Raises:
        OSError: The file is no ordinary one, such as a pipe or a link, or cannot be written.
    """
    _check_ordinary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # under a name of its own, which nobody can have planted
    number, draft = tempfile.mkstemp(prefix=f'.{path.name}.', suffix='.draft', dir=path.parent)
    try:
        with os.fdopen(number, 'wb') as file:
            write(file)
        os.chmod(draft, 0o666 & ~_umask())
        put_in_place(Path(draft), path)
    except BaseException:
        remove(Path(draft))
        raise


def _umask() -> int:
    """The process's mask of new files, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
