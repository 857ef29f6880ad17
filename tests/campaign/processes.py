"""Processes that are forked from one that has imported everything, and trainings that take seconds."""

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import tiny
import tiny_cls
import torch

torch.set_num_threads(1)


# So many seconds a training may take, on a machine with other work.
PATIENCE = 600
# When a turn must end, by time.monotonic().
DEADLINE = float('inf')


def late():
    """Whether the time of this turn is over; what was done by then counts."""
    return time.monotonic() > DEADLINE


def fork(function, log):
    """Call a function in a process of its own; its output goes to a file. Returns the process's id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(number, 1)
        os.dup2(number, 2)
        function()
        code = 0
    except SystemExit as end:
        print(f'EXIT {end}', flush=True)
        code = 2
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait(pid, seconds):
    """Wait for a process; returns its exit code, -signal, or None where it had to be killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    kill(pid)
    return None


def kill(pid):
    """End a process at once."""
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def configs(folder):
    """Six kinds of training, by name; each a function of its work dir."""
    coco, cifar = tiny.write_coco(folder / 'coco'), tiny_cls.write_cifar(folder / 'cifar')

    def detector(work_dir):
        return tiny.training_cfg(tiny.distiller(), coco, work_dir, epochs=3, batch_size=4)

    def classifier(work_dir, **model):
        return tiny_cls.training_cfg(tiny_cls.distiller(**model), cifar, work_dir, epochs=4)

    def accumulation(work_dir):
        cfg = classifier(work_dir)
        cfg.optim_wrapper.accumulative_counts = 3
        return cfg

    def two_optimizers(work_dir):
        cfg = classifier(work_dir)
        adamw = dict(optimizer=dict(type='AdamW', lr=1e-3))
        cfg.optim_wrapper.update(constructor='dpk_mm.DistillOptimWrapperConstructor', distiller=adamw)
        return cfg

    def auto_weights(work_dir):
        return classifier(work_dir, loss_weight='auto')

    def ema(work_dir):
        cfg = classifier(work_dir)
        cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
        return cfg

    kinds = (detector, classifier, accumulation, two_optimizers, auto_weights, ema)
    return {kind.__name__: kind for kind in kinds}


def train(cfg, resume=False):
    """Train in this process; what is left of it is a checkpoint."""
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    cfg.resume = resume
    if resume:
        torch.manual_seed(time.time_ns() % 1000)  # whoever draws without the run's seed is found out
    tiny.train(cfg)


def final(work_dir):
    """The last checkpoint, without what tells time and place."""
    content = torch.load(Path(work_dir, 'last_checkpoint').read_text(), weights_only=True)
    return {key: content[key] for key in content if key.endswith('state_dict') or key == 'optimizer'}


def equal(a, b):
    """Whether two contents are equal, tensors bit by bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b
