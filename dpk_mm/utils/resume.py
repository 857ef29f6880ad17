"""Which checkpoint a training goes on from."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from mmengine.dist import barrier, broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log

from dpk_mm.utils.checkpoint import check_checkpoint
from dpk_mm.utils.declared import check_whole
from dpk_mm.utils.files import read_text, restore_replaced


def newest_whole(work_dir: Path, folder: Path, pattern: str) -> Optional[str]:
    """Find the newest checkpoint that is whole; what is passed over is told in one line.

    The file that ``last_checkpoint`` names comes first, then the others, the newest first.

    Args:
        work_dir (Path): Of the training, where ``last_checkpoint`` lies.
        folder (Path): Of the checkpoints.
        pattern (str): Of their names, such as ``'epoch_*.pth'``.

    Returns:
        str or None: The checkpoint; None where there is none at all.

    Raises:
        ValueError: There are checkpoints, and none is whole.
    """
    problems: list[str] = []
    found = sorted(filter(Path.exists, folder.glob(pattern)), key=lambda path: path.stat().st_mtime)
    named = _read_last(work_dir / 'last_checkpoint', problems)
    if named and '://' in named:
        return named  # of a storage
    for path in dict.fromkeys([*([Path(named)] if named else []), *reversed(found)]):
        try:
            for shard in _shards(path):
                check_whole(shard)
        except ValueError as error:
            problems.append(f'{path.name} {error}')
            continue
        if problems:
            print_log(
                f'Resume: {"; ".join(problems)}. Going on from {path}.', 'current', level=logging.WARNING
            )
        return str(path)
    if found or named:
        raise ValueError(
            f'no checkpoint in {folder} is whole ({"; ".join(problems)}). Remove them to start anew.'
        )
    return None


def _shards(path: Path) -> list[Path]:
    """The files of a checkpoint, which a strategy may write as a folder.

    Raises:
        ValueError: It is an empty folder, or there are others than ordinary files.
    """
    shards = [one for one in path.rglob('*.pt*') if not one.is_dir()] if path.is_dir() else [path]
    if not shards and not any(path.iterdir()):
        raise ValueError('is empty')
    if not all(map(Path.is_file, shards)):
        raise ValueError('is no ordinary file')
    return shards


def _read_last(path: Path, problems: list[str]) -> Optional[str]:
    """What ``last_checkpoint`` names; adds to ``problems`` where that is nothing."""
    if not path.exists():
        return None
    try:
        named = read_text(path, 1 << 16).strip()
    except (OSError, ValueError):
        named = ''
    named = '' if '\0' in named else named
    if named and ('://' in named or Path(named).exists()):
        return named
    # the folder may have been moved since
    beside = path.parent / Path(named).name
    if named and beside.exists():
        return str(beside)
    problems.append(f'last_checkpoint {f"names {named!r}, which is not there" if named else "is damaged"}')
    return None


def choose_checkpoint(runner: Any, start: Optional[str] = None) -> None:
    """Let a runner that is to resume from its newest checkpoint resume from the newest whole one.

    Args:
        runner (Runner): Before it has loaded anything; one that does not resume by itself is left as it is.
        start (str, optional): The weights to start from where there is no checkpoint yet.

    Raises:
        FileNotFoundError: There are no such weights to start from.
        ValueError: There are checkpoints, and none is whole.
    """
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    if hook is None or runner._has_loaded or runner._resume is not True or runner._load_from is not None:
        return
    work_dir = folder = Path(runner.work_dir)
    if hook.out_dir not in (None, runner.work_dir):  # see CheckpointHook.before_train
        folder = Path(hook.out_dir) / work_dir.name
    pattern = re.sub(r'\{[^}]*\}', '*', hook.filename_tmpl)

    restore_replaced(folder)  # by each process, as disks may be a machine's own
    barrier()
    runner._load_from = on_first_rank(lambda: newest_whole(work_dir, folder, pattern))
    if runner._load_from is None and start is not None:
        check_checkpoint(start, 'load_from')
        runner._resume, runner._load_from = False, start


def on_first_rank(function: Callable[[], Any]) -> Any:
    """Call a function in the first process alone, for all; all raise what it raises.

    Args:
        function (Callable): Raises where something is wrong.

    Returns:
        What it returned.
    """
    found: list[Any] = [None, None]
    if is_main_process():
        try:
            found[0] = function()
        except Exception as error:  # the others wait
            found[1] = error
    broadcast_object_list(found)
    if found[1] is not None:
        raise found[1]
    return found[0]
