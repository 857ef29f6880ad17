"""A hook by which a compared training resumes exactly."""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Optional

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from dpk_mm.compare.cost_hook import KEY, own_entry


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
        checkpoint.setdefault(KEY, {})['random'] = dict(
            python=random.getstate(),
            numpy=(name, torch.from_numpy(keys.astype(np.int64)), *rest),
            torch=torch.get_rng_state(),
            cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Find them."""
        self.kept = own_entry(runner, checkpoint).get('random')

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
