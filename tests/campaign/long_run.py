"""Train for long, and see whether memory, open files or files on the disk grow."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import processes
from mmengine.hooks import Hook

N = 5000
STEPS = 4  # of an epoch


class Meter(Hook):
    """Measures after each twentieth of a training."""

    priority = 'LOWEST'

    def __init__(self, n, work_dir):
        self.every, self.work_dir, self.seen = max(n // 20, 1), Path(work_dir), []

    def after_train_iter(self, runner, *args, **kwargs):
        if (runner.iter + 1) % self.every == 0:
            gc.collect()
            pages = int(Path('/proc/self/statm').read_text().split()[1])
            files = len(os.listdir('/proc/self/fd')), sum(1 for _ in self.work_dir.rglob('*'))
            self.seen.append((pages * os.sysconf('SC_PAGE_SIZE'), *files))
            print(runner.iter + 1, *self.seen[-1], flush=True)


def run(seed, n):
    """``n`` steps of a tiny classifier's distillation, with a checkpoint each tenth of them.

    Writing the first checkpoint takes memory that is used again for the next, so growth counts from there.
    """
    folder = Path(tempfile.mkdtemp(prefix='campaign_'))
    cfg = processes.configs(folder)['classifier'](folder / 'run')
    cfg.train_cfg.max_epochs = n // STEPS
    cfg.randomness.seed = seed
    cfg.default_hooks.checkpoint.update(interval=max(n // STEPS // 10, 1), max_keep_ckpts=1)
    cfg.default_hooks.logger.interval = 50
    runner = processes.tiny.build_runner(cfg)
    meter = Meter(n, folder / 'run')
    runner.register_hook(meter)
    runner.train()
    (first, fds, files), (last, last_fds, last_files) = meter.seen[2], meter.seen[-1]
    shutil.rmtree(folder)
    return dict(
        steps=runner.iter,
        memory_growth_percent=100 * (last - first) / first,
        more_open_files=last_fds - fds,
        more_files=last_files - files,
        peak_mb=max(one[0] for one in meter.seen) / 1e6,
    )
