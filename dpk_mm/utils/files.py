"""Read and write small files of results, whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Optional

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
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'{path.name}.{os.getpid()}')
    draft.write_text(text, encoding='utf-8')
    os.replace(draft, path)


def save_checkpoint(path: Path, content: Dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all.

    Args:
        path (Path): The file; its folder is made.
        content (dict): What ``torch.save`` takes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.part')
    torch.save(content, part)
    part.replace(path)


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
