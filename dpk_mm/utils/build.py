"""Build all of a training before its first step, so that each mistake in a config is one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from dpk_mm.utils.check_built import check_classes, check_first_image, check_schedules, check_trained
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
        if isinstance(error, RuntimeError) and any(name in str(error) for name in ('gloo', 'NCCL')):
            raise ConnectionError('another process has ended; see its message') from error
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
    check_schedules(runner)
    _build_loader(runner, 'train')
    with part_errors(cfg, 'train_cfg'):
        runner.train_loop  # noqa: B018, a property that builds
    check_classes(runner)
    check_first_image(runner.train_loop.dataloader)
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
