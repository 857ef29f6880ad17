"""Write checkpoints beside their place, and remove old ones last."""

from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, barrier, get_rank, is_main_process
from mmengine.runner import Runner

from dpk_mm.utils import files


class Aside:
    """A runner that writes checkpoints beside their place, and renames them when they are on the disk."""

    def __init__(self, runner: Runner, is_local: bool) -> None:
        self.runner, self.is_local = runner, is_local

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runner, name)

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """As the runner's; a failure leaves nothing."""
        if not self.is_local:
            self.runner.save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        path, draft = Path(out_dir, filename), Path(out_dir, f'.{filename}.draft')
        try:
            files.remove(draft)  # of a process that was killed, or a link that was planted
            barrier()
            self.runner.save_checkpoint(out_dir, draft.name, *args, **kwargs)
            barrier()  # strategies may let every process write a part
            if _is_first_to_see(draft):
                files.put_in_place(draft, path)
            barrier()  # before last_checkpoint names it
        except BaseException:
            files.remove(draft)
            raise


class Later:
    """A file backend that only notes what is to be removed."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.doomed = backend, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        """Note it."""
        self.doomed.append(path)

    rmtree = remove


def _is_first_to_see(draft: Path) -> bool:
    """Whether this is the first process that sees a checkpoint; of shards, the first on each disk."""
    if not all_gather_object(draft.is_dir())[0]:
        return is_main_process()
    ranks = range(get_rank())
    mark = draft / f'.rank{get_rank()}'
    if draft.is_dir():
        mark.touch()
    barrier()
    is_first = mark.exists() and not any((draft / f'.rank{rank}').exists() for rank in ranks)
    barrier()
    mark.unlink(missing_ok=True)
    barrier()
    return is_first


def remove_drafts(folder: Path) -> None:
    """Remove what killed processes left."""
    files.restore_replaced(folder)
    for draft in folder.glob('.*.draft'):
        files.remove(draft)
