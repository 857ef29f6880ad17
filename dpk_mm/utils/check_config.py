"""Check a whole config before anything is built: numbers, and what upstream's own annotations say."""

import importlib.util
import inspect
from collections.abc import Iterator
from typing import Annotated, Any, List, Optional, Union

from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import (
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TASK_UTILS,
    Registry,
)
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner, TestLoop, ValLoop
from torch.utils.data import DataLoader

from dpk_mm.utils.check_values import check_clipping, check_data, check_factors, check_values
from dpk_mm.utils.checks import check_fields
from dpk_mm.utils.errors import FieldError, unknown_field
from dpk_mm.utils.hints import Count, NotNegative, Positive, Range, Seed, check

_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# what mmengine takes out of a part before it builds it
_OF_BUILDERS = {HOOKS: ('priority',), PARAM_SCHEDULERS: ('convert_to_iter_based', 'epoch_length')}


def check_config(cfg: Config, training: bool = True) -> None:
    """Refuse what upstream would trip over late, or pass over in silence.

    Args:
        cfg (Config): Of a training or a test.
        training (bool): Whether what only a training builds is checked, too. Defaults to True.

    Raises:
        FieldError: A value fits nowhere, a type is not registered, or a field is not what its class is
            annotated for; names the field.
    """
    fields = cfg.to_dict()
    if fields.get('model') is None:
        raise FieldError('model', ' is missing.')
    for names in (
        ('train_dataloader', 'train_cfg', 'optim_wrapper'),
        ('val_dataloader', 'val_cfg', 'val_evaluator'),
    ):
        lacking = [name for name in names if fields.get(name) is None]
        if 0 < len(lacking) < len(names):
            raise FieldError(lacking[0], f' is missing: {", ".join(names)} go together.')
    check_values(fields, training)
    check_fields(fields, Runner, '')
    for name in ('work_dir', 'load_from', 'experiment_name', 'launcher', 'runner_type'):
        check(fields.get(name), Optional[str], name)
    check(fields.get('compile'), Optional[Union[bool, dict]], 'compile')
    check(fields.get('strategy'), Optional[dict], 'strategy')
    for name, hook in (fields.get('default_hooks') or {}).items():
        check(hook, Optional[Union[dict, Hook]], f'default_hooks.{name}')
    check(fields.get('custom_hooks'), Optional[List[Union[dict, Hook]]], 'custom_hooks')
    check((fields.get('randomness') or {}).get('seed'), Optional[Seed], 'randomness.seed')
    check((fields.get('log_processor') or {}).get('window_size', 1), Count, 'log_processor.window_size')
    scope = fields.get('default_scope')
    check(scope, Optional[str], 'default_scope')
    known = scope is None or MODELS.root._search_child(scope) is not None
    if not known and importlib.util.find_spec(scope) is None:
        raise FieldError('default_scope', f' must be the name of an installed package, got {scope!r}.')
    train = fields.get('train_cfg') or {}
    check(train.get('by_epoch', True), bool, 'train_cfg.by_epoch')
    for name in ('max_epochs', 'max_iters'):
        value = train.get(name, 1)
        is_whole = isinstance(value, float) and value.is_integer()  # mmengine takes 1e5
        check(int(value) if is_whole else value, Count, f'train_cfg.{name}')
    for field, part, registry in _parts(fields):
        is_built = training or registry in (HOOKS, METRICS) and not field.startswith('val_')
        if isinstance(part, dict) and 'type' in part and is_built:
            _check_part(field, part, registry, scope)
    for field, optim in _optims(fields).items():
        for name in ('lr', 'weight_decay', 'momentum'):
            value = (optim.get('optimizer') or {}).get(name)
            if value is not None:  # with a rate of 0 nothing is learned
                check(value, Positive if name == 'lr' else NotNegative, f'{field}.optimizer.{name}')
        check_factors(optim, field)
        check_clipping(optim.get('clip_grad'), field)
    _check_models('model', fields.get('model'), scope)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if isinstance(fields.get(name), dict) and fields[name].get('dataset') is None:
            raise FieldError(f'{name}.dataset', ' is missing.')
        check_data(name, fields.get(name), scope)
        check_fields(fields.get(name) or {}, DataLoader, name, only=(int, bool, Optional[int]))


def _parts(fields: dict) -> Iterator[tuple[str, Any, Registry]]:
    """The parts of a config whose classes are known, with their registry."""
    optims = _optims(fields)
    yield 'optim_wrapper', {'type': 'OptimWrapper', **optims['optim_wrapper']}, OPTIM_WRAPPERS
    for field, optim in optims.items():
        yield f'{field}.optimizer', optim.get('optimizer'), OPTIMIZERS
    train = EpochBasedTrainLoop if (fields.get('train_cfg') or {}).get('by_epoch') else IterBasedTrainLoop
    for name, usual in (('train_cfg', train), ('val_cfg', ValLoop), ('test_cfg', TestLoop)):
        part = fields.get(name)
        if isinstance(part, dict) and 'type' not in part:
            part = {'type': usual, **{key: value for key, value in part.items() if key != 'by_epoch'}}
        yield name, part, LOOPS
    for name, registry in (
        ('param_scheduler', PARAM_SCHEDULERS),
        ('custom_hooks', HOOKS),
        ('val_evaluator', METRICS),
        ('test_evaluator', METRICS),
    ):
        part = fields.get(name)
        if not (isinstance(part, dict) and 'metrics' in part):  # else it is an evaluator's
            yield from ((field, one, registry) for field, one in _each(name, part))
    for name, hook in (fields.get('default_hooks') or {}).items():
        yield f'default_hooks.{name}', hook, HOOKS


def _optims(fields: dict) -> dict[str, dict]:
    """The settings of the optimizer, and of the distiller's where it has one of its own, by their field."""
    optims = {'optim_wrapper': fields.get('optim_wrapper') or {}}
    own = optims['optim_wrapper'].get('distiller')
    return {**optims, 'optim_wrapper.distiller': own} if isinstance(own, dict) else optims


def _each(field: str, part: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a field: one, a list of them, or lists by name, as two optimizers have schedules."""
    if isinstance(part, (list, tuple)):
        for i, one in enumerate(part):
            yield from _each(f'{field}[{i}]', one)
    elif isinstance(part, dict) and 'type' not in part:
        for name, one in part.items():
            yield from _each(f'{field}.{name}', one)
    else:
        yield field, part


def _check_part(field: str, part: dict, registry: Registry, scope: Optional[str]) -> None:
    """Check one part by the annotations of its class."""
    kind = part['type']
    if isinstance(kind, str):
        with registry.switch_scope_and_registry(part.get('_scope_') or scope) as own:
            kind = own.get(kind)
    elif not callable(kind):
        raise FieldError(f'{field}.type', f' must be the name of a class, got {kind!r}.')
    if kind is None and field.startswith('test_'):
        return  # a training does not build it
    if kind is None:
        raise FieldError(f'{field}.type', f': {part["type"]!r} is not registered as a {registry.name}.')
    if inspect.isclass(kind):
        check_fields(part, kind, field, fractions=registry is PARAM_SCHEDULERS)
        if registry is PARAM_SCHEDULERS:
            check(part.get('begin', 0), NotNegative, f'{field}.begin')
        if issubclass(kind, CheckpointHook):
            template = part.get('filename_tmpl') or '{}'
            if '{' not in template:  # each would take the place of the one before
                raise FieldError(
                    f'{field}.filename_tmpl', f" must hold {{}}, as 'epoch_{{}}.pth' does, got {template!r}."
                )
        if issubclass(kind, EMAHook):
            check(part.get('momentum', 0.5), Annotated[float, Range(above=0, below=1)], f'{field}.momentum')
        known = _arguments(kind, part, scope)
        others = {'type', '_scope_', *_OF_BUILDERS.get(registry, ())}
        for name in part if known is not None and registry is not OPTIM_WRAPPERS else ():
            if name not in known and name not in others:
                raise unknown_field(name, kind, known, field)


def _arguments(kind: type, part: dict, scope: Optional[str]) -> Optional[list[str]]:
    """The arguments of a class; None where it takes any and does not say for whom."""
    names: list[str] = []
    for one in kind.__mro__[:-1]:
        if '__init__' not in vars(one):
            continue
        try:
            parameters = list(inspect.signature(one.__init__).parameters.values())[1:]
        except ValueError:  # no function of Python's
            return None
        kinds = {parameter.kind: parameter for parameter in parameters}
        names += [parameter.name for parameter in parameters if parameter.kind not in _ANY]
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
        if issubclass(kind, CheckpointHook):  # it hands them on to who saves the first checkpoint
            names += inspect.signature(Runner.save_checkpoint).parameters
        elif issubclass(kind, EMAHook):  # it hands them on to who averages, before the first step
            average = part.get('ema_type', 'ExponentialMovingAverage')
            with MODELS.switch_scope_and_registry(part.get('_scope_') or scope) as own:
                average = own.get(average) if isinstance(average, str) else average
            if average is None:
                return None
            names += [name for one in average.__mro__[:-1] for name in inspect.signature(one).parameters]
        elif inspect.Parameter.VAR_POSITIONAL not in kinds:  # else it is for the next class
            return None
    return list(dict.fromkeys(names))


def _check_models(field: str, part: Any, scope: Optional[str]) -> None:
    """Refuse texts where classes of models are annotated for numbers; their other annotations err."""
    if isinstance(part, dict):
        scope = part.get('_scope_') or scope
        kind = part.get('type')
        if isinstance(kind, str):
            for registry in (MODELS, TASK_UTILS):
                with registry.switch_scope_and_registry(scope) as own:
                    kind = own.get(kind) or kind if isinstance(kind, str) else kind
        if field == 'model' and inspect.isclass(kind) and not hasattr(kind, 'train_step'):
            raise FieldError('model.type', f': {kind.__name__} is no model that can be trained.')
        if inspect.isclass(kind):
            texts = {name: value for name, value in part.items() if isinstance(value, str)}
            check_fields(texts, kind, field, only=(int, float, bool))
    items = (
        part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, (list, tuple)) else ()
    )
    for name, value in items:
        _check_models(f'{field}[{name}]' if isinstance(name, int) else f'{field}.{name}', value, scope)
