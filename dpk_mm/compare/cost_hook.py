"""A hook that measures what a compared training costs."""

import statistics
import sys
import time
from typing import Any, Dict

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dpk_mm.utils.clock import clock

KEY = 'dpk_mm_compare'  # of what these hooks put into checkpoints


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
        checkpoint.setdefault(KEY, {}).update(times=times, memory=memory)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take up the figures of before."""
        kept = own_entry(runner, checkpoint)
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


def own_entry(runner: Runner, checkpoint: dict) -> dict:
    """What these hooks put into a checkpoint to resume from; one to ``load_from`` is of another training."""
    return checkpoint.get(KEY, {}) if runner._resume else {}


def peak_memory() -> int:
    """The most memory so far, in bytes: CUDA's where there is a GPU, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else 1024 * peak
