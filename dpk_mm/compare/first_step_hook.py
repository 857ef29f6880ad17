"""A hook that proves the start of a compared training."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Dict

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dpk_mm.compare.digest import digest_batch
from dpk_mm.compare.fairness import digest_student
from dpk_mm.utils.unwrap import unwrap


class FirstStepHook(Hook):
    """Refuse to train unless student and first batch are those of the other methods with the same seed.

    Args:
        path (Path): Where the first run of a seed leaves its digests, for the others to compare theirs.
        who (str): This run, for messages.
        parts (Iterable[str]): What must agree: ``'student'``, ``'batch'`` or both.
        leads (bool): Whether this run may be the one that the others are compared with.
    """

    priority = 'LOWEST'

    def __init__(self, path: Path, who: str, parts: Iterable[str], leads: bool) -> None:
        self.path, self.who, self.parts, self.leads = path, who, tuple(parts), leads

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Compare, in the first step of all."""
        if runner.iter > 0:
            return
        model = unwrap(runner.model)
        mine = dict(who=self.who, student=digest_student(model), batch=digest_batch(data_batch))
        if self.leads:
            self._write(mine)
        if not self.path.exists():
            return
        theirs = json.loads(self.path.read_text())
        for part in self.parts:
            if mine[part] != theirs[part]:
                what = "student's first weights" if part == 'student' else 'first batch'
                raise ValueError(f'the {what} differs from that of {theirs["who"]}: not a fair comparison')

    def _write(self, content: Dict[str, str]) -> None:
        """Write the file, whole and only if there is none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(f'.{os.getpid()}')
        draft.write_text(json.dumps(content))
        try:
            os.link(draft, self.path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
