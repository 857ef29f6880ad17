"""What a training step costs beside that of an earlier commit: two processes, block by block in turn."""

import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

N = 16  # pairs of blocks
STEPS = 20  # of a block
BEFORE = os.environ.get('BEFORE', '4f7cae6')  # before values and shapes were checked in training
ROOT = Path(__file__).parents[2]


def run(seed, n):
    """The ratio of the processor time of a step, now over before, and its quartiles."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix='campaign_') as folder:
        content = subprocess.run(
            ['git', 'archive', BEFORE, 'dpk_mm', 'tests'], cwd=ROOT, check=True, capture_output=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter='data')
        for kind in ('detector', 'classifier'):
            sides = [start(tree, kind, seed) for tree in (folder, ROOT)]
            ratios, times = [], []
            for i in range(-1, n):
                pair = [ask(side) for side in (sides if i % 2 else sides[::-1])]
                before, now = pair if i % 2 else pair[::-1]
                if i >= 0:  # the first of each is warm-up
                    ratios.append(now / before)
                    times.append(now)
            for side in sides:
                side.communicate()
            low, middle, high = statistics.quantiles(ratios, n=4)
            figures |= {f'{kind}_ratio': middle, f'{kind}_low': low, f'{kind}_high': high}
            print(f'{kind}: {middle:.3f} ({low:.3f} to {high:.3f}), {1e3 * statistics.median(times):.1f} ms')
    return figures


def start(tree, kind, seed):
    """A training in a process of its own, with the code of a folder; it waits for each block."""
    path = os.pathsep.join([str(tree), f'{tree}/tests'])
    env = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(
        [sys.executable, '-W', 'ignore', __file__, kind, str(seed)],
        cwd=tree,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(side):
    """Processor time of a step of the next block."""
    side.stdin.write('go\n')
    side.stdin.flush()
    for line in side.stdout:
        if line.startswith('STEP '):
            return float(line.split()[1])
    raise RuntimeError(f'a training ended: {side.args}')


def train(kind, seed):
    """Train the tiny pair of the tests, as its own tree writes it; blocks are asked for by a line each."""
    import tiny
    import tiny_cls
    import torch
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    import dpk_mm

    assert Path(dpk_mm.__file__).is_relative_to(Path.cwd()), dpk_mm.__file__

    class Meter(Hook):
        first, spent = 0.0, 0.0

        def before_train(self, runner):
            # the others see a step from outside of it
            runner._hooks.remove(self)
            runner._hooks.insert(0, self)
            last = Meter()
            last.after_train_iter, last.before_train = self.end, lambda runner: None
            last.before_train_iter = lambda *args, **kwargs: None
            runner._hooks.append(last)

        def before_train_iter(self, runner, *args, **kwargs):
            if runner.iter % STEPS == 0 and not sys.stdin.readline():
                os._exit(0)
            self.first = time.process_time()

        def after_train_iter(self, *args, **kwargs):
            pass

        def end(self, runner, *args, **kwargs):
            self.spent += time.process_time() - self.first
            if (runner.iter + 1) % STEPS == 0:
                print('STEP', self.spent / STEPS, flush=True)
                self.spent = 0.0

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix='campaign_') as folder:
        if kind == 'detector':
            model, data = tiny.distiller(), tiny.write_coco(f'{folder}/data')
            cfg = tiny.training_cfg(model, data, f'{folder}/run', epochs=10**6)
        else:
            data = tiny_cls.write_cifar(f'{folder}/data')
            cfg = tiny_cls.training_cfg(tiny_cls.distiller(), data, f'{folder}/run', epochs=10**6)
        cfg.randomness.seed = seed
        cfg.train_cfg.val_interval = cfg.default_hooks.checkpoint.interval = 10**6
        cfg.default_hooks.logger.interval = 50
        runner = Runner.from_cfg(cfg)
        runner.register_hook(Meter())
        runner.train()


if __name__ == '__main__':
    train(sys.argv[1], int(sys.argv[2]))
