"""From the name of a config to mmengine's runner, as upstream's scripts go."""

import atexit
import datetime
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.dist import is_distributed

from dpk_mm.utils.checkpoint import check_checkpoint, check_resumable
from dpk_mm.utils.config import package_config
from dpk_mm.utils.config_file import read_config
from dpk_mm.utils.locks import only_one
from dpk_mm.utils.teacher_config import spell_out_teacher

# where a launcher says which of its processes this one is; MPI may run inside of Slurm
_RANKS = dict(pytorch=('RANK',), slurm=('SLURM_PROCID',), mpi=('OMPI_COMM_WORLD_RANK', 'PMI_RANK'))
# the same of those on one machine
_LOCAL_RANKS = dict(
    pytorch=('LOCAL_RANK',), slurm=('SLURM_LOCALID',), mpi=('OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID')
)


def load_config(name: str) -> Config:
    """Load the config a user names.

    Args:
        name (str): A file, or ``pkg::path`` of an installed package.

    Returns:
        Config: The whole config. The teacher of a distiller is a dict, so that options can change its fields.

    Raises:
        ValueError: There is no such file, or it is no config; names it.
        FileNotFoundError: The package has no such config.
        ImportError: The package is not installed.
    """
    try:
        cfg = package_config(name) if '::' in name else read_config(name)
        spell_out_teacher(cfg)
        return cfg
    except (SyntaxError, NameError, OSError, ImportError, ValueError) as error:
        if '::' in name:
            raise
        raise ValueError(f'config {name}: {error}') from error


def fill_dataloaders(
    cfg: Config,
    fields: Sequence[str] = ('train_dataloader', 'test_dataloader'),
    no_pin_memory: bool = False,
    no_persistent_workers: bool = False,
) -> None:
    """Fill the dataloader settings that mmpretrain's configs leave to its scripts.

    Configs of other packages state their own, and the defaults here would change them.

    Args:
        cfg (Config): A whole config; changed in place.
        fields (Sequence[str]): Which dataloaders. Defaults to those of a training and its test.
        no_pin_memory (bool): Pin no memory. Defaults to False.
        no_persistent_workers (bool): Keep no workers alive. Defaults to False.
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
    """Train in mixed precision; the optimizer's constructor, clipping and the rest stay.

    Args:
        cfg (Config): A whole config; changed in place.

    Raises:
        ValueError: There is no GPU, or an optimizer wrapper of another type.
    """
    wrapper = cfg.get('optim_wrapper')
    kind = 'none' if wrapper is None else type_name(wrapper) or 'OptimWrapper'
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(f'--amp needs an optim_wrapper of type OptimWrapper, the config has {kind}')
    if get_device() in ('cpu', 'mps'):
        raise ValueError(f'--amp needs a GPU, which mmengine does not find here (device: {get_device()})')
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')


def type_name(cfg: dict) -> str:
    """Get the bare name of a config's type, which may have a scope or be a class."""
    kind = cfg.get('type', '')
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


def method_of(model: dict) -> Optional[str]:
    """Get the method of a distiller's config; a ``DPKDistiller`` has one by default."""
    return model.get('method', 'dpk' if type_name(model) == 'DPKDistiller' else None)


def keep_dumped_config(cfg: Config) -> None:
    """Let a test leave the config in its work dir as it is: by its own name a runner would write over it.

    Args:
        cfg (Config): Of a test, changed in place; mmengine writes it by the time of its start.
    """
    super(Config, cfg).__setattr__('_filename', None)


def save_safely(cfg: Config) -> None:
    """Let :class:`dpk_mm.PlainCheckpointHook` write the checkpoints of a training with mmengine's hook.

    Args:
        cfg (Config): A whole config; changed in place. Another hook of the user's stays.
    """
    hooks = cfg.get('default_hooks') or {}
    hook = hooks.get('checkpoint', dict(type='CheckpointHook'))  # which mmengine takes where there is none
    if hook is not None and type_name(hook) in ('', 'CheckpointHook'):
        cfg.default_hooks = dict(hooks, checkpoint=dict(hook, type='dpk_mm.PlainCheckpointHook'))


def check_start(cfg: Config) -> None:
    """Refuse a file that a training cannot start or go on from; one process a machine looks.

    Args:
        cfg (Config): A whole config, with its ``launcher``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, declares more than it has, or is no training to go on from.
    """
    path, what = cfg.get('load_from'), '--resume' if cfg.get('resume') else 'load_from'
    # where the check fails, the launcher ends the others
    if _is_first(cfg, _LOCAL_RANKS) and path is not None and '://' not in path:
        check_checkpoint(path, what, sharded=cfg.get('strategy') is not None)
        if cfg.get('resume'):
            check_resumable(path, what)


def _is_first(cfg: Config, ranks: Mapping[str, Sequence[str]]) -> bool:
    """Whether this process is the first, by what its launcher says."""
    names = ranks.get(cfg.launcher, ())
    return next((os.environ[name] for name in names if name in os.environ), '0') == '0'


@contextmanager
def only_training(cfg: Config) -> Iterator[None]:
    """Keep other trainings out of the work dir, before the first file is written there.

    Args:
        cfg (Config): A whole config, with its ``launcher`` and ``work_dir``.

    Raises:
        ValueError: Another training runs there; names its process.
        OSError: Nothing can be written there.
    """
    if not _is_first(cfg, _RANKS):
        yield  # the first process has the lock; where it fails, the launcher ends the others
        return
    with only_one(Path(cfg.work_dir)):
        yield


def launch_on_cpu(cfg: Config) -> None:
    """Start gloo processes where there is no accelerator.

    mmengine's own launcher selects a CUDA device, and hands its number to DDP, on any machine.

    Args:
        cfg (Config): A whole config, with its ``launcher``; changed in place.

    Raises:
        ValueError: No launcher started this process.
    """
    if cfg.launcher != 'pytorch' or get_device() != 'cpu' or is_distributed():
        return
    if 'RANK' not in os.environ:
        raise ValueError('--launcher pytorch needs the processes that tools/dist_*.sh (torchrun) starts')
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
