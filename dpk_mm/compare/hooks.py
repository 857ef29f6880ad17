"""What a compared training does beside training: it proves its start, measures its cost, resumes exactly."""

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner

from dpk_mm.compare.digest import digest_batch
from dpk_mm.compare.fairness import digest_student
from dpk_mm.utils.clock import clock

_KEY = 'dpk_mm_compare'  # of what these hooks put into checkpoints


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
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
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


class CostHook(Hook):
    """Measure steps and memory; the figures go into checkpoints, so a resumed run knows those before.

    A step is forward, backward and update, without the loading of data.
    """

    priority = 'VERY_HIGH'  # so that little of the other hooks' work is measured

    def __init__(self) -> None:
        self.wall: list = []
        self.cpu: list = []
        self.memory = 0

    def before_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Start the clocks."""
        self.started = self._now()

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Stop the clocks."""
        wall, cpu = self._now()
        self.wall.append(wall - self.started[0])
        self.cpu.append(cpu - self.started[1])

    @staticmethod
    def _now() -> tuple:
        return clock(), time.process_time()

    def after_train(self, runner: Runner) -> None:
        """Take the peak before the test begins."""
        self.memory = max(self.memory, peak_memory())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the figures."""
        memory = max(self.memory, peak_memory())
        times = torch.tensor([self.wall, self.cpu], dtype=torch.float32)
        checkpoint.setdefault(_KEY, {}).update(times=times, memory=memory)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take up the figures of before."""
        kept = _kept(runner, checkpoint)
        if kept:
            self.wall, self.cpu = kept['times'].tolist()
            self.memory = kept['memory']

    def result(self) -> Dict[str, Any]:
        """Sum up.

        Returns:
            dict: Median seconds a step by the clock and of the processor, number of steps, peak in bytes.
        """
        return dict(
            seconds=statistics.median(self.wall),
            cpu_seconds=statistics.median(self.cpu),
            steps=len(self.wall),
            memory=self.memory,
            memory_kind='CUDA' if torch.cuda.is_available() else 'RSS',
        )


def _kept(runner: Runner, checkpoint: dict) -> dict:
    """What these hooks put into a checkpoint to resume from; one to ``load_from`` is of another training."""
    return checkpoint.get(_KEY, {}) if runner._resume else {}


def peak_memory() -> int:
    """The most memory so far, in bytes: CUDA's where there is a GPU, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else 1024 * peak


class RandomStateHook(Hook):
    """Keep the random states in checkpoints: a resumed run draws what it would have drawn.

    mmengine does not, so with random augmentation a run that was interrupted would end elsewhere. What worker
    processes of a dataloader draw is theirs, and is not kept where they live on between epochs.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.kept: Optional[dict] = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states, as plain values."""
        name, keys, *rest = np.random.get_state()
        checkpoint.setdefault(_KEY, {})['random'] = dict(
            python=random.getstate(),
            numpy=(name, torch.from_numpy(keys.astype(np.int64)), *rest),
            torch=torch.get_rng_state(),
            cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Find them."""
        self.kept = _kept(runner, checkpoint).get('random')

    def before_train(self, runner: Runner) -> None:
        """Go on from them."""
        if self.kept is None:
            return
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            _after_skipping(loop, runner.iter, self._restore)
        else:
            self._restore()

    def _restore(self) -> None:
        name, keys, *rest = self.kept['numpy']
        random.setstate(self.kept['python'])
        # mmengine resumes with all tensors on the GPU
        np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))
        torch.set_rng_state(self.kept['torch'].cpu())
        if self.kept['cuda'] and len(self.kept['cuda']) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in self.kept['cuda']])


def _after_skipping(loop: IterBasedTrainLoop, count: int, act: Callable[[], None]) -> None:
    """Act once the loop has passed over the batches up to here, which it does after ``before_train``."""
    batches = loop.dataloader_iterator
    skip = getattr(batches, 'skip_iter', None)
    if skip is None:  # upstream's draws them all again
        loop.dataloader_iterator = _then(batches, count, act)
        return

    def skip_iter(count: int) -> None:
        skip(count)
        batches._ensure_iterator()  # a new one draws a seed for its workers
        act()

    batches.skip_iter = skip_iter  # the forks' moves the sampler on


def _then(batches: Iterable, count: int, act: Callable[[], None]) -> Iterator:
    """Give ``count`` batches, act, and give the others."""
    for _ in range(count):
        yield next(batches)
    act()
    yield from batches
