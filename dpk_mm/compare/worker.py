"""Train and test one run in a process of its own: ``python -m dpk_mm.compare.worker``, a job on stdin."""

import os
import pickle
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Dict, Optional

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from dpk_mm.compare import training
from dpk_mm.compare.cost_hook import CostHook
from dpk_mm.compare.first_step_hook import FirstStepHook
from dpk_mm.compare.random_state_hook import RandomStateHook
from dpk_mm.compare.run import checkpoints
from dpk_mm.utils.declared import check_whole
from dpk_mm.utils.files import write_json
from dpk_mm.utils.locks import only_one


class ProgressHook(Hook):
    """Write how far a training is, for the process that shows it, twice a second.

    Args:
        path (Path): The file: steps done and steps in all.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.last = path, 0.0

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Write the file."""
        step = runner.iter + 1
        if step == runner.max_iters or time.monotonic() - self.last > 0.5:
            self.last = time.monotonic()
            self.path.write_text(f'{step} {runner.max_iters}')


def newest_checkpoint(folder: Path) -> Optional[Path]:
    """Find the newest checkpoint that is whole; others are passed over, and told.

    Args:
        folder (Path): Of the run.

    Returns:
        Path or None: The checkpoint.
    """
    for path in checkpoints(folder):
        try:
            check_whole(path)
        except ValueError as error:
            print(f'{path} {error}: passed over', flush=True)
        else:
            return path
    return None


def run(job: Dict[str, Any]) -> None:
    """Train from the start or the last checkpoint, test, and write ``result.json``.

    Args:
        job (dict): ``train`` and ``test``, whole configs; ``threads``; ``first_step``, the arguments of
            :class:`FirstStepHook`; ``about``, what goes into the result as it is.
    """
    torch.set_num_threads(job['threads'])
    cfg = Config(job['train'])
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    folder = Path(cfg.work_dir)
    resumed = newest_checkpoint(folder)
    if resumed is not None:
        cfg.resume, cfg.load_from = True, str(resumed)
        print(f'going on from {resumed.name}', flush=True)
    cost = CostHook()
    first_step, progress = FirstStepHook(**job['first_step']), ProgressHook(folder / 'progress')
    training.train(cfg, hooks=(progress, cost, first_step, RandomStateHook()))
    checkpoint = newest_checkpoint(folder)
    if checkpoint is None:
        raise FileNotFoundError(f'the training left no whole checkpoint in {folder}')
    found = training.measure(Config(job['test']), checkpoint)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    about = dict(job['about'], threads=job['threads'], device=device, checkpoint=checkpoint.name)
    write_json(folder / 'result.json', dict(about, **found, **cost.result()))


def _end_with_parent() -> None:
    """End at once when the other end of stdin is closed: the parent is gone, and may be started again."""
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> None:
    """Do the job, or say in one line of ``error.txt`` why not."""
    job = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(job['train']['work_dir'])
    with only_one(folder, wait=True):  # until a worker whose parent was killed is gone
        try:
            run(job)
        except BaseException as error:
            traceback.print_exc()
            message = ' '.join(f'{type(error).__name__}: {error}'.split())
            (folder / 'error.txt').write_text(message, encoding='utf-8')
            sys.exit(1)


if __name__ == '__main__':
    main()
