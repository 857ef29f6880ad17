"""Many short CIFAR-100 trainings side by side on one GPU: teachers first, then their students.

The images lie on the device, where they are cropped and flipped a batch at a time. Teachers train for a given
time, by a cosine of the time. The students' configs are those of ``configs/``, made shorter. A probe, in
which all rows run at once, says how many epochs fit; all rows of a pair train as many. One JSON line a run.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import os
import sys
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader, TensorDataset

from dpk_mm.compare.budget import set_budget
from dpk_mm.utils import teacher_cfg

ROOT = Path(__file__).resolve().parents[2]
PAIRS = ('resnet56_resnet20', 'resnet32x4_resnet8x4')
ROWS = ('dpk', 'dpk ratio 0', 'dist', 'kd', 'alone')  # the longest first
SHARE = 0.85  # of the time that the probe's speed would fill


class DeviceLoader(DataLoader):
    """Batches of (images (B, 3, 32, 32) float32, samples), made on the device.

    An epoch's order, crops (padding 4) and flips follow from seed and epoch. Images are normalised as the
    config's data preprocessor does it, so the model takes them as they are.
    """

    def __init__(self, folder, batch_size, preprocessor, device, seed=None):
        x = torch.from_numpy(np.load(f'{folder}/x.npy')).to(device)
        self.y = np.load(f'{folder}/y.npy')
        super().__init__(TensorDataset(torch.arange(len(x))), batch_size, drop_last=seed is not None)
        self.seed, self.epoch = seed, 0
        self.mean, self.std = (torch.tensor(preprocessor[name], device=device) for name in ('mean', 'std'))
        self.images = torch.nn.functional.pad(x, (0, 0, 4, 4, 4, 4))
        # losses only read them, so images of one class share one
        self.samples = [DataSample().set_gt_label(torch.tensor([i], device=device)) for i in range(100)]

    def __iter__(self):
        n, device, offset = len(self.y), self.images.device, torch.arange(32, device=self.images.device)
        draw = torch.Generator().manual_seed((self.seed or 0) * 1000 + self.epoch)
        self.epoch += 1
        is_training = self.seed is not None
        order = torch.randperm(n, generator=draw) if is_training else torch.arange(n)
        corner = torch.randint(9, (2, n, 1), generator=draw) if is_training else torch.full((2, n, 1), 4)
        flips = torch.rand(n, 1, generator=draw) < (0.5 if is_training else 0.0)
        labels, on_device = self.y[order.numpy()], order.to(device)
        rows = corner[0].to(device) + offset
        columns = corner[1].to(device) + torch.where(flips.to(device), 31 - offset, offset)
        for i in range(0, len(self) * self.batch_size, self.batch_size):
            part = slice(i, i + self.batch_size)
            index = on_device[part, None, None], rows[part, :, None], columns[part, None, :]
            images = ((self.images[index] - self.mean) / self.std).permute(0, 3, 1, 2)
            yield images, [self.samples[label] for label in labels[part]]


class Stop(Exception):
    """The time is over."""


class LeanLoop(EpochBasedTrainLoop):
    """mmengine's loop without what costs a small model as much as its step: moving samples, logging losses.

    With ``seconds`` it ends after that time; with ``cosine`` the learning rates fall by it.
    """

    def __init__(self, *args, seconds=math.inf, cosine=False, skip=0, **kwargs):
        super().__init__(*args, **kwargs)
        self.seconds, self.cosine, self.skip, self.begin = seconds, cosine, skip, None
        self.loss, self.ratios = None, {}

    def run_iter(self, idx, data_batch):
        runner = self.runner
        if self._iter == self.skip:
            synchronize()
            self.begin = time.time()
        passed = 0 if self.begin is None else time.time() - self.begin
        if passed > self.seconds:
            raise Stop
        if self.cosine:
            factor = 0.5 + 0.5 * math.cos(math.pi * min(1, passed / self.seconds))
            for group in runner.optim_wrapper.param_groups:
                group['lr'] = group['initial_lr'] * factor * min(1, (self._iter + 1) / 100)
        runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        with runner.optim_wrapper.optim_context(runner.model):
            losses = runner.model(*data_batch, mode='loss')
        self.loss, values = runner.model.parse_losses(losses)
        runner.optim_wrapper.update_params(self.loss)
        for name, value in values.items():
            if name.startswith('ratio_'):
                self.ratios.setdefault(name, []).append(float(value))
        runner.call_hook('after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=None)
        self._iter += 1


def synchronize():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def config(pair, row, teacher):
    """The config of a row, from those of ``configs/``."""
    name = pair.split('_')[1]
    if row == 'alone':
        return Config.fromfile(ROOT / f'configs/dpk/cifar100/{name}_cifar100.py')
    cfg = Config.fromfile(ROOT / f'configs/dpk/{pair}_cifar100.py')
    if row in ('kd', 'dist'):
        baseline = Config.fromfile(ROOT / f'configs/baselines/{row}_resnet32x4_resnet8x4_cifar100.py')
        # not update(), which would merge them
        baseline.model.student, baseline.model.teacher = cfg.model.student, cfg.model.teacher
        cfg = baseline
    elif row == 'dpk ratio 0':
        for stage in cfg.model.stages.values():
            if 'prior' in stage:
                stage.prior = dict(type='dpk_mm.FixedPrior', ratio=0.0)
    cfg.model.teacher = dict(
        teacher_cfg(cfg.model.teacher), checkpoint=teacher, allow_incomplete=teacher is None
    )
    return cfg


def run(cfg, job, seed, epochs, **loop):
    """Train; the runner, the seconds it took and whether it came to its end."""
    set_budget(cfg, dict(max_epochs=epochs))
    steps = len(np.load(f'{OPTIONS.train}/y.npy', mmap_mode='r')) // OPTIONS.batch_size
    schedules = cfg.param_scheduler
    for schedule in schedules.values() if isinstance(schedules, dict) else [schedules]:
        # a warm-up of less than a step
        schedule[:] = [
            part for part in schedule if (part.get('end', epochs) - part.get('begin', 0)) * steps >= 1
        ]
    name = f'{job}_{os.getpid()}_{time.time_ns()}'
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    loader = DeviceLoader(OPTIONS.train, OPTIONS.batch_size, cfg.data_preprocessor, device, seed)
    runner = Runner(
        model=cfg.model,
        data_preprocessor=cfg.data_preprocessor,
        work_dir=str(Path(OPTIONS.work_dir) / 'logs'),
        train_dataloader=loader,
        train_cfg=dict(type=LeanLoop, max_epochs=epochs, **loop),
        optim_wrapper=cfg.optim_wrapper,
        param_scheduler=None if loop.get('cosine') else cfg.param_scheduler,
        auto_scale_lr=dict(enable=True, base_batch_size=cfg.auto_scale_lr.base_batch_size),
        default_hooks=dict.fromkeys(('timer', 'logger', 'checkpoint', 'sampler_seed')),
        custom_hooks=[dict(type='dpk_mm.ChannelsLastHook')],
        env_cfg=dict(cudnn_benchmark=True, mp_cfg=dict(), dist_cfg=dict()),
        randomness=dict(seed=seed),
        default_scope='mmpretrain',
        experiment_name=name,
        log_level='ERROR',
    )
    if loop.get('cosine'):
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        runner.auto_scale_lr = None
        for group in runner.optim_wrapper.param_groups:
            group['initial_lr'] = group['lr']
    begin, complete = time.time(), True
    try:
        runner.train()
    except Stop:
        complete = False
    synchronize()
    return runner, time.time() - begin, complete


@torch.no_grad()
def top1(model, cfg):
    """Per cent of the test images."""
    model.eval()
    net = getattr(model, 'student', model)
    device = next(net.parameters()).device
    right = 0
    loader = DeviceLoader(OPTIONS.test, 500, cfg.data_preprocessor, device)
    for images, samples in loader:
        guesses = net.head(net.extract_feat(images)).argmax(1)
        right += (guesses == torch.cat([sample.gt_label for sample in samples])).sum()
    return 100 * float(right) / len(loader.y)


def set_up(options):
    global OPTIONS
    OPTIONS = options
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision('high')  # TF32, as cuDNN's convolutions have it by default


def warm_up(seconds=2.0):
    """Start a process, and its CUDA."""
    import dpk_mm.models  # noqa: F401

    torch.zeros(1, device='cuda' if torch.cuda.is_available() else 'cpu')
    time.sleep(seconds)


def train_teacher(name, seconds):
    cfg = Config.fromfile(ROOT / f'configs/dpk/cifar100/{name}_cifar100.py')
    path = f'{OPTIONS.work_dir}/{name}.pth'
    runner, took, _ = run(cfg, name, 0, 10**6, seconds=seconds, cosine=True)
    torch.save(dict(state_dict=runner.model.state_dict()), path)
    loop = runner.train_loop
    return dict(
        kind='teacher', model=name, epochs=round(loop.iter / len(loop.dataloader), 2), steps=loop.iter,
        seconds=round(took, 1), top1=top1(runner.model, cfg),
    )  # fmt: skip


def probe(pair, row, seconds):
    """Seconds a step, while all others run."""
    runner, _, complete = run(config(pair, row, None), 'probe', 0, 10**6, seconds=seconds, skip=OPTIONS.skip)
    loop = runner.train_loop
    return dict(
        kind='probe', pair=pair, row=row, steps=loop.iter,
        step_seconds=(time.time() - loop.begin) / max(1, loop.iter - OPTIONS.skip),
    )  # fmt: skip


def train_student(pair, row, seed, epochs, expected, deadline):
    about = dict(kind='run', pair=pair, row=row, seed=seed, epochs=epochs)
    left = deadline - time.time()
    if expected > left:
        return (
            None
            if seed >= OPTIONS.seeds
            else dict(about, kind='left out', expected=round(expected, 1), left=round(left, 1))
        )
    cfg = config(pair, row, f'{OPTIONS.work_dir}/{pair.split("_")[0]}.pth')
    runner, took, complete = run(cfg, f'{pair}-{row}-{seed}'.replace(' ', '-'), seed, epochs, seconds=left)
    loop = runner.train_loop
    about.update(steps=loop.iter, seconds=round(took, 1), loss=float(loop.loss), top1=top1(runner.model, cfg))
    if not complete:
        about['kind'] = 'cut short'
    for name, values in loop.ratios.items():
        tenths = np.array_split(values, min(10, len(values)))
        about[name] = [round(float(np.mean(part)), 3) for part in tenths]
    return about


class Pool:
    """Processes that write down what their jobs give; a job that fails is a line too."""

    def __init__(self, options):
        self.options = options
        self.start()

    def start(self):
        context = multiprocessing.get_context('spawn')
        self.pool = ProcessPoolExecutor(self.options.workers, context, set_up, (self.options,))

    def __call__(self, jobs):
        """Run ``(function, *arguments)`` in turns; the results in the order they come."""
        results = []
        running = {self.pool.submit(caught, *job): job for job in jobs}
        while running:
            done, _ = wait(
                running, timeout=max(0, self.options.end + 20 - time.time()), return_when=FIRST_COMPLETED
            )
            if not done:
                self.write(dict(kind='hangs', jobs=[str(job) for job in running.values()]))
                self.end()
            for future in done:
                job = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool as error:
                    # a process died, and takes with it what all were doing
                    self.write(dict(kind='process died', job=str(job), error=str(error)))
                    self.start()
                    running = {self.pool.submit(caught, *other): other for other in running.values()}
                    break
                if result is not None:
                    self.write(result)
                    results.append(result)
        return results

    def end(self):
        """End all processes, this one too, whether they hang or not."""
        for process in list(self.pool._processes.values()):
            process.kill()
        sys.stdout.flush()
        os._exit(0)

    def write(self, line):
        line = dict(line, at=round(time.time() - self.options.begin, 1))
        print(json.dumps(line), flush=True)
        with open(self.options.out, 'a') as file:
            file.write(json.dumps(line) + '\n')


def caught(function, *args):
    try:
        return function(*args)
    except Exception:
        torch.cuda.empty_cache()
        return dict(kind='failed', job=f'{function.__name__}{args}', error=traceback.format_exc()[-3000:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('train', help='folder of the images to train with')
    parser.add_argument('test', help='folder of the images to test with')
    parser.add_argument('out', help='file of results')
    parser.add_argument('--work-dir', default='work_dirs/gpu')
    parser.add_argument('--seconds', type=float, default=340, help='for all')
    parser.add_argument('--teacher-seconds', type=float, default=100)
    parser.add_argument('--probe-seconds', type=float, default=8)
    parser.add_argument(
        '--seeds', type=int, default=1, help='seeds that must fit; more are tried if time is left'
    )
    parser.add_argument('--epochs', type=int, help='of the students (default: as many as fit)')
    parser.add_argument('--workers', type=int, default=10)
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--skip', type=int, default=10, help='steps of a probe that are not counted')
    options = parser.parse_args()
    options.begin = time.time()
    options.end = options.begin + options.seconds
    Path(options.work_dir).mkdir(parents=True, exist_ok=True)
    pool = Pool(options)
    pool([(warm_up,)] * options.workers)
    pool.write(dict(kind='ready', **vars(options)))

    teachers = [pair.split('_')[0] for pair in PAIRS]
    pool([(train_teacher, name, options.teacher_seconds) for name in teachers])
    speeds = pool([(probe, pair, row, options.probe_seconds) for row in ROWS for pair in PAIRS])
    speeds = {(s['pair'], s['row']): s['step_seconds'] for s in speeds if s['kind'] == 'probe'}
    steps = len(np.load(f'{options.train}/y.npy', mmap_mode='r')) // options.batch_size
    left = options.end - time.time()
    epochs = {}
    for pair in PAIRS:
        own = [seconds for (of, _), seconds in speeds.items() if of == pair]
        if own:
            epochs[pair] = options.epochs or max(1, int(SHARE * left / options.seeds / (max(own) * steps)))
    pool.write(dict(kind='plan', left=round(left, 1), steps=steps, epochs=epochs))
    # while there is time
    seeds = options.seeds if options.epochs else 3 * options.seeds
    jobs = [
        (train_student, pair, row, seed, epochs[pair], speeds[pair, row] * steps * epochs[pair], options.end)
        for seed, row, pair in itertools.product(range(seeds), ROWS, PAIRS)
        if (pair, row) in speeds and Path(f'{options.work_dir}/{pair.split("_")[0]}.pth').exists()
    ]
    done = pool(jobs)
    print(f'{sum(line["kind"] == "run" for line in done)} runs', flush=True)
    pool.end()


if __name__ == '__main__':
    main()
