"""Train several models at once, each on one core, and show how far they are."""

import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch

from dpk_mm.compare import training

# Of a worker: for every job the steps it has done and will do, shared with the main process.
_progress: Sequence[int] = ()


@dataclass(frozen=True)
class Job:
    """One training and its test.

    Attributes:
        name (str): In the progress line.
        config (Path): To train with.
        plain_config (Path): To test with: the model as upstream knows it.
        data_root (Path): Folder of the data.
        work_dir (Path): Folder to write to.
        seed (int): Of weights and data order.
        epochs (int, optional): Another length of the schedule than the config's.
        options (dict): More to set in ``config``.
    """

    name: str
    config: Path
    plain_config: Path
    data_root: Path
    work_dir: Path
    seed: int = 0
    epochs: Optional[int] = None
    options: Dict[str, Any] = field(default_factory=dict)


def default_workers() -> int:
    """Get how many trainings to run at once: one a core, three at most (each takes a gigabyte)."""
    affinity = getattr(os, 'sched_getaffinity', None)
    return min(3, len(affinity(0)) if affinity else os.cpu_count() or 1)


def run_jobs(jobs: Sequence[Job], workers: int) -> List[Dict[str, Any]]:
    """Run jobs in worker processes of one thread each.

    Two threads that share a small training wait for each other at every layer; where another program
    wants one of the cores, that costs ten times what it gains.

    Args:
        jobs (Sequence[Job]): What to run, started in this order.
        workers (int): How many at once.

    Returns:
        list[dict]: For each job its ``checkpoint`` and what :func:`dpk_mm.compare.training.evaluate` gives.
    """
    context = multiprocessing.get_context('spawn')
    progress = context.Array('i', 2 * len(jobs), lock=False)
    pool = ProcessPoolExecutor(workers, context, _start_worker, (progress,))
    line = StatusLine([job.name for job in jobs])
    try:
        futures = [pool.submit(_run, index, job) for index, job in enumerate(jobs)]
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            line.show(list(progress), [future.done() for future in futures])
            for future in done:
                future.result()  # raises what was raised there
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise
    finally:
        line.close()
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def run_groups(groups: Dict[str, Sequence[Job]], workers: int) -> Dict[str, List[Dict[str, Any]]]:
    """Run several groups of jobs, as :func:`run_jobs` does.

    Args:
        groups (dict): Name -> its jobs.
        workers (int): How many jobs at once.

    Returns:
        dict: Name -> the results of its jobs.
    """
    results = iter(run_jobs([job for jobs in groups.values() for job in jobs], workers))
    return {name: [next(results) for _ in jobs] for name, jobs in groups.items()}


def _start_worker(progress: Sequence[int]) -> None:
    global _progress
    _progress = progress
    torch.set_num_threads(1)


def _run(index: int, job: Job) -> Dict[str, Any]:
    """Do one job, in a worker."""

    def report(step: int, total: int) -> None:
        _progress[2 * index], _progress[2 * index + 1] = step, total

    cfg = training.load_config(job.config, job.data_root, job.work_dir, job.seed, job.epochs, job.options)
    checkpoint = training.train(cfg, report)
    plain = training.load_config(job.plain_config, job.data_root, job.work_dir / 'test', job.seed)
    return dict(checkpoint=str(checkpoint), **training.evaluate(plain, checkpoint))


class StatusLine:
    """Progress of all jobs in one line: rewritten on a terminal, else a new one every 15 seconds.

    Args:
        names (Sequence[str]): Of the jobs.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.start = self.last = time.monotonic()
        self.width = 0
        self.terminal = sys.stdout.isatty()

    def show(self, progress: Sequence[int], done: Sequence[bool]) -> None:
        """Write the line.

        Args:
            progress (Sequence[int]): Steps done and steps in all, for every job in turn.
            done (Sequence[bool]): Which jobs are done.
        """
        now = time.monotonic()
        if not self.terminal and not all(done) and now - self.last < 15:
            return
        self.last = now
        parts = [f'{now - self.start:4.0f} s, {sum(done)} of {len(done)} done']
        for index, (name, ready) in enumerate(zip(self.names, done)):
            step, total = progress[2 * index : 2 * index + 2]
            if total and not ready:
                parts.append(f'{name} {step}/{total}')
        text = ' | '.join(parts)
        end = '\r' if self.terminal else '\n'
        print(text.ljust(self.width), end=end, flush=True)
        self.width = len(text) if self.terminal else 0

    def close(self) -> None:
        """Leave the line."""
        if self.terminal:
            print(flush=True)
