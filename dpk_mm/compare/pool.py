"""Run the runs of a comparison, several processes side by side."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Dict, List, Tuple

import dpk_mm
from dpk_mm.compare.display import Display
from dpk_mm.compare.fairness import must_share_start
from dpk_mm.compare.run import Run


def run_all(runs: Sequence[Run], jobs: int, threads: int, starts: Path, display: Display) -> Dict[str, str]:
    """Run what is not finished.

    Args:
        runs (Sequence[Run]): In the order they are started.
        jobs (int): How many at once.
        threads (int): Of each.
        starts (Path): Folder in which they leave the digests of their first steps.
        display (Display): Shows how far they are.

    Returns:
        dict: Name of a run that failed -> why.
    """
    waiting = deque(runs)
    slots: Dict[int, Tuple[Run, subprocess.Popen]] = {}
    failures: Dict[str, str] = {}
    try:
        while waiting or slots:
            for slot in set(range(jobs)) - set(slots):
                if waiting:
                    run = waiting.popleft()
                    slots[slot] = run, _start(run, slot, jobs, threads, starts)
                    display.started(run)
            time.sleep(0.2)
            for slot, (run, process) in list(slots.items()):
                if process.poll() is not None:
                    del slots[slot]
                    with contextlib.suppress(BrokenPipeError):  # of a job that it did not read to its end
                        process.stdin.close()
                    problem = _problem(run, process.returncode)
                    if problem:
                        failures[str(run)] = problem
                    display.ended(run, problem)
            display.show()
    finally:
        for _, process in slots.values():
            process.kill()
            process.wait()
    return failures


def _start(run: Run, slot: int, jobs: int, threads: int, starts: Path) -> subprocess.Popen:
    """Start a worker. Its stdin stays open: where it is closed, this process has ended, and so does it."""
    for name in ('error.txt', 'progress'):
        (run.folder / name).unlink(missing_ok=True)
    same_start = must_share_start(run.method.allow)
    same_data = not {'train_dataloader', 'randomness', 'custom_hooks', 'data_preprocessor', 'student'} & {
        field.split('.')[0] for field in run.method.allow
    }
    job = dict(
        train=run.cfg.to_dict(),
        test=run.test_cfg.to_dict(),
        threads=threads,
        first_step=dict(
            path=starts / f'{run.seed}.json',
            who=str(run),
            parts=[part for part, same in (('student', same_start), ('batch', same_data)) if same],
            leads=same_start and same_data,
        ),
        about=dict(method=run.method.name, seed=run.seed, jobs=jobs),
    )
    with (run.folder / 'output.log').open('ab') as log:
        process = subprocess.Popen(
            [sys.executable, '-m', 'dpk_mm.compare.worker'],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(slot, threads),
            start_new_session=True,  # so that ctrl-c reaches this process alone, which ends the others
        )
    with contextlib.suppress(BrokenPipeError):  # it ended already, and the log says why
        pickle.dump(job, process.stdin)
        process.stdin.flush()
    return process


def _environment(slot: int, threads: int) -> Dict[str, str]:
    """So many threads, this dpk_mm, and one of the GPUs in turn."""
    env = {**os.environ, 'OMP_NUM_THREADS': str(threads), 'MKL_NUM_THREADS': str(threads)}
    env.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    paths: List[str] = [str(Path(dpk_mm.__file__).resolve().parents[1]), os.environ.get('PYTHONPATH', '')]
    env['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    import torch

    gpus = os.environ.get('CUDA_VISIBLE_DEVICES') or ','.join(map(str, range(torch.cuda.device_count())))
    if gpus:
        names = gpus.split(',')
        env['CUDA_VISIBLE_DEVICES'] = names[slot % len(names)]
    return env


def _problem(run: Run, code: int) -> str:
    """Why a run has no result, in one line; empty where it has one."""
    try:
        if run.result is not None:
            return ''
    except ValueError as error:  # a damaged file, which must not end the others
        return str(error)
    path = run.folder / 'error.txt'
    if path.exists():
        why = path.read_text(encoding='utf-8')
    elif code < 0:  # so Popen tells a signal
        why = f'was ended by signal {signal.Signals(-code).name} ({-code})'
    else:
        why = f'ended with code {code}'
    return f'{why} (see {run.folder / "output.log"})'
