"""What the commands share: flags, finding the config, errors in one line, and the CPU launcher."""

import argparse
import atexit
import datetime
import gc
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, NoReturn, Optional, Sequence

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.optim import OptimWrapperDict
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from dpk_mm.utils.checkpoint import explain_load_error
from dpk_mm.utils.config import package_config, spell_out_teacher

# torch's own switch for files that one trusts.
OPT_IN = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


def die(message: str) -> NoReturn:
    """Exit with one line."""
    raise SystemExit(f'{Path(sys.argv[0]).name}: error: {message}')


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that upstream's train and test scripts share."""
    add_cfg_options(
        parser, 'override settings of the config: a.b=1 c="[x,y]" d="[(1,2),(3,4)]" (no white space)'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed job were started',
    )
    parser.add_argument('--no-pin-memory', action='store_true', help='dataloaders pin no memory')
    # torchrun's predecessor passes either spelling, depending on torch's version.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add the flag that names a method."""
    parser.add_argument(
        '--method',
        help='how to distil: a name such as dpk (the default), fgd or pkd, or a sum such as kd+fitnet',
    )


def add_cfg_options(parser: argparse.ArgumentParser, text: str) -> None:
    """Add upstream's flag for changes of a config, with a help text."""
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help=text)


def load_config(name: str) -> Config:
    """Load the config a user names: a file, or ``pkg::path`` of an installed package.

    A distiller's teacher is a dict then, whatever the config says, so that options can change its fields.
    """
    try:
        cfg = package_config(name) if '::' in name else Config.fromfile(name)
        spell_out_teacher(cfg)
        return cfg
    except (SyntaxError, NameError) as error:
        die(f'config {name}: {error}')
    except (OSError, ImportError, ValueError) as error:
        if '::' in name:
            die(str(error))
        if not isinstance(error, OSError):
            raise
        die(f'config {name}: {error}')


def merge_common(cfg: Config, args: argparse.Namespace) -> None:
    """Merge what both scripts take from the command line; the flags win over ``--cfg-options``."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg.merge_from_dict(args.cfg_options or {})
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = f'./work_dirs/{Path(args.config.split("::")[-1]).stem}'


def fill_dataloaders(
    cfg: Config, fields: Sequence[str], no_pin_memory: bool, no_persistent_workers: bool = False
) -> None:
    """Fill the dataloader settings that mmpretrain's configs leave to its scripts.

    Configs of other packages state their own, and the defaults here would change them.
    """
    for loader in filter(None, map(cfg.get, fields)):
        if cfg.get('default_scope') == 'mmpretrain':
            loader.setdefault('pin_memory', True)
            # torch refuses persistent workers where there are none.
            loader.setdefault('persistent_workers', loader.get('num_workers', 0) > 0)
            loader.setdefault('collate_fn', dict(type='default_collate'))
        if no_pin_memory:
            loader.pin_memory = False
        if no_persistent_workers:
            loader.persistent_workers = False


def enable_amp(cfg: Config) -> None:
    """Train in mixed precision; the optimizer's constructor, clipping and the rest stay."""
    wrapper = cfg.get('optim_wrapper')
    kind = 'none' if wrapper is None else type_name(wrapper) or 'OptimWrapper'
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        die(f'--amp needs an optim_wrapper of type OptimWrapper, the config has {kind}')
    if get_device() in ('cpu', 'mps'):
        die(f'--amp needs a GPU, which mmengine does not find here (device: {get_device()})')
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')


def type_name(cfg: dict) -> str:
    """Get the bare name of a config's type, which may have a scope or be a class."""
    kind = cfg.get('type', '')
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Make a folder, and exit where another process is writing into it."""
    import fcntl  # not everywhere, and not for all scripts

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / 'lock').open('w')
    except OSError as error:
        die(str(error))
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            die(f'{folder} is in use by another {Path(sys.argv[0]).name}')
        yield


def picture(text: str) -> Path:
    """Read the name of a picture, for argparse: a wrong one is told before anything is measured."""
    if Path(text).suffix not in ('.png', '.pdf', '.svg'):
        raise argparse.ArgumentTypeError(f'must end in .png, .pdf or .svg, got {text}')
    return Path(text)


def check_checkpoint(path: Optional[str], what: str) -> None:
    """Exit unless a checkpoint exists; what is not local is left to mmengine."""
    if path is not None and '://' not in path and not Path(path).exists():
        die(f'{what}: no such checkpoint: {path}')


@contextmanager
def checkpoint_errors() -> Iterator[None]:
    """Turn an error of ``torch.load`` into one line that names the file and what to do."""
    try:
        yield
    except Exception as error:
        path = _file_being_loaded(error)
        if path is None:
            raise
        die(f'{path} {explain_load_error(error, path, f"set {OPT_IN}=1")}')


def _file_being_loaded(error: BaseException) -> Optional[str]:
    """Get the file ``torch.load`` was reading when an error was raised, if it was."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == 'load' and frame.f_globals['__name__'] == 'torch.serialization':
            file = frame.f_locals.get('f')
            return str(file if isinstance(file, (str, Path)) else getattr(file, 'name', file))
        trace = trace.tb_next
    return None


def launch_on_cpu(cfg: Config) -> None:
    """Start gloo processes where there is no accelerator.

    mmengine's own launcher selects a CUDA device, and hands its number to DDP, on any machine.
    """
    if cfg.launcher != 'pytorch' or get_device() != 'cpu' or is_distributed():
        return
    if 'RANK' not in os.environ:
        die('--launcher pytorch needs the processes that tools/dist_*.sh (torchrun) starts')
    timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
    kwargs = {} if timeout is None else dict(timeout=datetime.timedelta(seconds=timeout))
    torch.distributed.init_process_group('gloo', **kwargs)
    atexit.register(_end_gloo)
    wrapper = cfg.get('model_wrapper_cfg') or ConfigDict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    if 'DistributedDataParallel' in type_name(wrapper):
        wrapper.setdefault('device_ids', None)
    cfg.model_wrapper_cfg = wrapper


def _end_gloo() -> None:
    """End the group and its threads: a process that exits with them running is now and then aborted.

    The wrapped model, which is in reference cycles, keeps the group alive after it was destroyed.
    """
    torch.distributed.destroy_process_group()
    gc.collect()


def build_optimizers(runner: Runner) -> None:
    """Build the optimizers, which mmengine does after training began; a mistake in the config is one line."""
    if not isinstance(runner, Runner):
        return  # another runner_type does it in its own way
    try:
        wrapper = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    except ValueError as error:
        die(str(error))
    schedules = runner.param_schedulers
    if not isinstance(schedules, dict) or 'type' in schedules:
        return
    names = list(wrapper.keys()) if isinstance(wrapper, OptimWrapperDict) else []
    if not names or not set(names) <= set(schedules):
        expected = f'schedules for {names}' if names else 'a list, as there is one optimizer'
        die(f'param_scheduler has schedules for {sorted(schedules)}; expected {expected}')


def build_runner(cfg: Config) -> Runner:
    """Build the runner, upstream's or ``runner_type``'s; a mistake in the config is one line."""
    if cfg.get('strategy') is not None:
        cfg.setdefault('runner_type', 'FlexibleRunner')  # Runner passes over it in silence
    if cfg.get('runner_type') == 'FlexibleRunner' and cfg.get('activation_checkpointing'):
        die(
            'activation_checkpointing: FlexibleRunner, which a strategy needs, does not read it; leave it out'
        )
    try:
        return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    except (ValueError, FileNotFoundError, ImportError) as error:
        die(str(error))
    except (KeyError, TypeError) as error:
        # a type that is not registered, or a field that it does not have
        if not any(words in str(error) for words in ('registry', 'unexpected keyword argument')):
            raise
        die(str(error.args[0]))
