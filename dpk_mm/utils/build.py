"""Build all of a training before its first step, so that each mistake in a config is one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Union

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from dpk_mm.utils.config import main_field
from dpk_mm.utils.errors import FieldError, find_value, within


@contextmanager
def part_errors(cfg: Config, *fields: str) -> Iterator[None]:
    """Name the field of a config that an error is about: of those whose part is built, if it cannot be found.

    Raises:
        FieldError: In place of whatever upstream raises.
    """
    name, own = ' or '.join(fields), {field: cfg.get(field) for field in fields or cfg}
    try:
        with within('', own):
            yield
    except FieldError as error:
        if not name or error.field.partition('.')[0].partition('[')[0] in fields:
            raise
        raise error.under(name) if error.field else FieldError(name, error.problem) from error
    except Exception as error:  # what data sets, optimizers and hooks raise has no bounds
        found = find_value(own, str(getattr(error, 'filename', None) or '')) or name
        kind = '' if isinstance(error, (OSError, ImportError)) else f'{type(error).__name__}: '
        if not found and not kind:
            raise
        raise FieldError(found, f': {kind}{" ".join(str(error).split()).rstrip(".")}.') from error


def build_runner(cfg: Config) -> Runner:
    """Build the runner, upstream's or ``runner_type``'s.

    Args:
        cfg (Config): A whole config, which :func:`dpk_mm.utils.check_config.check_config` has passed.

    Returns:
        Runner: As the config says.

    Raises:
        ValueError: A mistake in the config; names the field.
        FileNotFoundError: A file that it names is not there.
        ImportError: A module that it names is not there.
    """
    if cfg.get('strategy') is not None:
        cfg.setdefault('runner_type', 'FlexibleRunner')  # Runner passes over it in silence
    if cfg.get('runner_type') == 'FlexibleRunner' and cfg.get('activation_checkpointing'):
        raise ValueError(
            'activation_checkpointing: FlexibleRunner, which a strategy needs, does not read it; leave it out'
        )
    with part_errors(cfg):
        return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def build_parts(runner: Runner) -> None:
    """Build optimizers, data, schedules and metrics, which mmengine does when training begins.

    Args:
        runner (Runner): Takes them; one of another ``runner_type`` builds its own.

    Raises:
        ValueError: A mistake in the config; names the field.
    """
    if not isinstance(runner, Runner):
        return  # another runner_type does it in its own way
    cfg = runner.cfg
    with part_errors(cfg, 'optim_wrapper'):  # before the data, which may take long
        wrapper = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    check_trained(runner.model, wrapper)
    _check_schedules(runner)
    _build_loader(runner, 'train')
    with part_errors(cfg, 'train_cfg'):
        runner.train_loop  # noqa: B018, a property that builds
    check_classes(runner)
    _check_first_image(runner.train_loop.dataloader)
    with part_errors(cfg, 'auto_scale_lr'):
        runner.scale_lr(wrapper, runner.auto_scale_lr)
    runner.auto_scale_lr = None  # once is enough
    if runner.param_schedulers is not None:
        with part_errors(cfg, 'param_scheduler'):
            runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    if runner._val_loop is not None:
        _build_loader(runner, 'val')
        with part_errors(cfg, 'val_evaluator', 'val_cfg'):
            runner.val_loop  # noqa: B018


def build_test(runner: Runner) -> None:
    """Build data and metrics of a test, which mmengine does when it begins.

    Args:
        runner (Runner): Takes them.

    Raises:
        ValueError: A mistake in the config; names the field.
    """
    if isinstance(runner, Runner):
        names = ('test_dataloader', 'test_cfg', 'test_evaluator')
        if lacking := [name for name in names if runner.cfg.get(name) is None]:
            raise FieldError(lacking[0], f' is missing: a test needs {", ".join(names)}.')
        _build_loader(runner, 'test')
        with part_errors(runner.cfg, 'test_evaluator', 'test_cfg'):
            runner.test_loop  # noqa: B018


def _build_loader(runner: Runner, name: str) -> None:
    """Build a dataloader as a loop of mmengine's does."""
    field, loader = f'{name}_dataloader', getattr(runner, f'_{name}_dataloader')
    if isinstance(loader, dict):
        seeds = dict(seed=runner.seed, diff_rank_seed=runner._randomness_cfg.get('diff_rank_seed', False))
        with part_errors(runner.cfg, field):
            setattr(runner, f'_{field}', runner.build_dataloader(loader, **seeds))


def check_trained(model: nn.Module, wrapper: Union[OptimWrapper, OptimWrapperDict]) -> None:
    """Refuse a distillation in which the student, or a module of distillation, would not be trained.

    Args:
        model (nn.Module): Any model; one that does not distil passes.
        wrapper (OptimWrapper or OptimWrapperDict): Of the training.

    Raises:
        FieldError: All of the student is frozen, or an optimizer leaves out modules of distillation.
    """
    model = model.module if is_model_wrapper(model) else model
    added, student = getattr(model, 'distiller', None), getattr(model, 'wrapped', None)
    if added is None or student is None:
        return
    if not any(weight.requires_grad for weight in student.parameters()):
        raise FieldError(
            'model', ': all weights of the model that is trained are frozen: nothing would be learned.'
        )
    each = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    held = {id(weight) for one in each for group in one.optimizer.param_groups for weight in group['params']}
    left = [
        f'distiller.{name}'
        for name, weight in added.named_parameters()
        if weight.requires_grad and id(weight) not in held
    ]
    if left:
        raise FieldError(
            'optim_wrapper',
            f' leaves out {len(left)} weights of the modules of distillation, such as {left[0]}: give '
            "another constructor, such as 'dpk_mm.DistillOptimWrapperConstructor'.",
        )


def check_classes(runner: Runner) -> None:
    """Refuse data with more classes than the head of the model has.

    Raises:
        FieldError: Names the field of the head, and both numbers. Or no class is in the data.
    """
    dataset = getattr(runner.train_loop.dataloader, 'dataset', None)
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if classes and getattr(dataset, 'cat_ids', None) == []:  # of mmdet's, by name
        raise FieldError(
            'train_dataloader.dataset.metainfo.classes',
            f': none of {", ".join(map(str, classes))} is in its ann_file: nothing would be learned.',
        )
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    main = main_field(runner.cfg)
    model = model if main is None else getattr(model, main)
    for path in ('head', 'bbox_head', 'roi_head.bbox_head'):
        head = model
        for name in path.split('.'):
            head = getattr(head, name, None)
        number = getattr(head, 'num_classes', None) if isinstance(head, nn.Module) else None
        if classes and isinstance(number, int) and number < len(classes):
            field = '.'.join(filter(None, ['model', main, path, 'num_classes']))
            raise FieldError(field, f' is {number}, but train_dataloader.dataset has {len(classes)} classes.')


def _check_first_image(loader: DataLoader) -> None:
    """Refuse data whose first image is not there; one in a storage is left to the first step."""
    dataset = getattr(loader, 'dataset', None)
    first = dataset.get_data_info(0) if isinstance(dataset, BaseDataset) and len(dataset) else {}
    path = first.get('img_path')
    loads = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    is_local = not any(getattr(load, 'backend_args', None) for load in loads)
    if is_local and isinstance(path, str) and '://' not in path and not Path(path).exists():
        raise FieldError('train_dataloader.dataset.data_prefix', f': no such image: {path}.')


def _check_schedules(runner: Runner) -> None:
    """Refuse schedules of optimizers that are not there."""
    schedules, wrapper = runner.param_schedulers, runner.optim_wrapper
    if not isinstance(schedules, dict) or 'type' in schedules:
        return
    names = list(wrapper.keys()) if isinstance(wrapper, OptimWrapperDict) else []
    if not names or not set(names) <= set(schedules):
        expected = f'schedules for {names}' if names else 'a list, as there is one optimizer'
        raise ValueError(f'param_scheduler has schedules for {sorted(schedules)}; expected {expected}')
