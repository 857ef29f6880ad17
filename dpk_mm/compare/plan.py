"""From the input of a comparison to the configs of its methods."""

import copy
import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Tuple

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from dpk_mm.compare.budget import counts_epochs, set_budget
from dpk_mm.compare.digest import plain
from dpk_mm.compare.fairness import check_recipe
from dpk_mm.compare.inputs import Comparison, Row
from dpk_mm.utils import is_distiller, load_main_cfg, main_field, main_model_cfg, teacher_cfg
from dpk_mm.utils.errors import walk
from dpk_mm.utils.runner import fill_dataloaders, type_name
from dpk_mm.utils.teacher_config import spell_out_teacher

# of a method's dict; its other fields are a config's
_OWN = ('config', 'allow', 'options', 'teacher', 'seeds')


@dataclass
class Method(Row):
    """A row of the table, and how it is made.

    Attributes:
        cfg (Config): To train with.
        test_cfg (Config): The plain student, to test with.
    """

    cfg: Config
    test_cfg: Config

    @functools.cached_property
    def teacher_model(self) -> Any:
        """The config of the teacher's model, as plain values: read once for the runs of all seeds."""
        return plain(load_main_cfg(self.cfg.model.teacher.config, 'teacher.config'))


def make_methods(comparison: Comparison, load: Callable[[str], Config]) -> Tuple[Config, List[Method]]:
    """Make the config of every method and check that they may be compared.

    Args:
        comparison (Comparison): From :func:`dpk_mm.compare.inputs.read`.
        load (Callable): Loads the config that a user names.

    Returns:
        tuple[Config, list[Method]]: The student alone, and the methods in the order of the input.

    Raises:
        ValueError: Methods differ where they must not; names each and its field.
    """
    base = load(comparison.base)
    _check_model(base, f'base: {comparison.base}')
    field = main_field(base)
    if field is not None:
        kind = type_name(base.model)
        raise ValueError(f'base: {comparison.base} is a {kind}, give the config of its {field} alone')
    needed = ('train_cfg', 'train_dataloader', 'test_cfg', 'test_dataloader', 'test_evaluator')
    missing = [name for name in needed if base.get(name) is None]
    if missing:
        raise ValueError(f'base: {comparison.base} has no {missing[0]}')
    try:
        _set_options(base, comparison.options)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'options: {error.args[0]}') from error
    alone = _finish(base, comparison)
    methods, problems = [], []
    for row in comparison.rows:
        try:
            cfg = _finish(_make(comparison.methods[row.name], base, comparison, load), comparison)
            check_recipe(cfg, alone, row.allow, comparison.teacher)
        except (ValueError, TypeError, KeyError) as error:
            problems.append(f'method {row.name!r}: {error.args[0] if error.args else error}')
            continue
        test_cfg = copy.deepcopy(alone)
        if 'student' in {item.split('.')[0] for item in row.allow}:
            test_cfg.model = main_model_cfg(cfg)
        methods.append(Method(**asdict(row), cfg=cfg, test_cfg=test_cfg))
    if problems:
        raise ValueError('; '.join(problems))
    return alone, methods


def _make(spec: Any, base: Config, comparison: Comparison, load: Callable[[str], Config]) -> Config:
    """Make the config of one method."""
    spec = dict(config=spec) if isinstance(spec, str) else copy.deepcopy(spec or {})
    fragment = {key: value for key, value in spec.items() if key not in _OWN}
    if 'config' in spec:
        cfg = load(spec['config'])
        _check_model(cfg, spec['config'])
        _set_options(cfg, comparison.options)
    else:
        cfg = copy.deepcopy(base)
        if 'model' in fragment or 'teacher' in spec:
            cfg.model = ConfigDict(type='dpk_mm.Distiller', student=cfg.model, init_student=False)
            if comparison.teacher is not None:
                cfg.model.teacher = comparison.teacher
    if 'teacher' in spec:
        if not is_distiller(cfg):
            raise ValueError(f'teacher: {type_name(cfg.model)} learns from none, so leave it out')
        cfg.model.teacher = teacher_cfg(spec['teacher'])
    schedule, own = fragment.get('param_scheduler'), cfg.get('param_scheduler')
    if isinstance(schedule, dict) and isinstance(own, list):
        # of two optimizers: the student's stays, which merging into a list could not say
        fragment['param_scheduler'] = {'student': own, **schedule, '_delete_': True}
    _check_fields(cfg, [*fragment, *(spec.get('options') or {})])
    cfg.merge_from_dict(fragment)
    spell_out_teacher(cfg)
    cfg.merge_from_dict(spec.get('options') or {})
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    if is_distiller(cfg) and cfg.model.get('teacher') is None:
        raise ValueError('no teacher: give one in the input or in the method')
    return cfg


def _set_options(cfg: Config, options: Dict[str, Any]) -> None:
    """Merge the options for all; in a distiller ``model.`` means its student, in SFTN its teacher."""
    if 'randomness.seed' in options:
        raise ValueError('randomness.seed: each run has its own; give seeds')
    _check_fields(cfg, options)
    field = main_field(cfg)
    start = 'model.' if field is None else f'model.{field}.'
    cfg.merge_from_dict(
        {start + key[len('model.') :] if key.startswith('model.') else key: options[key] for key in options}
    )


def _check_model(cfg: Config, name: str) -> None:
    """Refuse a config without a model."""
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(f'{name} has no model')


def _check_fields(cfg: Config, names: Iterable[str]) -> None:
    """Refuse to set what neither the config has nor mmengine's runner reads: a slip of the pen."""
    known = {*cfg, *inspect.signature(Runner.__init__).parameters, 'custom_imports', 'model_wrapper_cfg'}
    for name in names:
        field = str(name).split('.')[0]
        if field not in known and not field.startswith('_'):
            raise ValueError(f'no field {field!r} in the config, nor does a training read it')


def _finish(cfg: Config, comparison: Comparison) -> Config:
    """Set in a copy what a comparison decides: length, no validation, checkpoints to resume from."""
    cfg = copy.deepcopy(cfg)
    if comparison.budget is not None:
        set_budget(cfg, comparison.budget)
    if cfg.get('strategy') is not None:
        raise ValueError(
            'strategy: a comparison trains by the plain Runner, on one device; set strategy=None'
        )
    _check_validates(cfg)
    if cfg.get('launcher') is not None:
        cfg.launcher = 'none'  # a dumped config has the one of its training
    for part in ('cfg', 'dataloader', 'evaluator'):
        cfg[f'val_{part}'] = None
    by_epoch = counts_epochs(cfg)
    # Two are kept, as mmengine removes an old one before the new one is written.
    checkpoint = dict(
        type='dpk_mm.PlainCheckpointHook',
        by_epoch=by_epoch,
        interval=1 if by_epoch else max(1, cfg.train_cfg.max_iters // 20),
        max_keep_ckpts=2,
    )
    cfg.default_hooks = dict(cfg.get('default_hooks') or {}, checkpoint=checkpoint)
    cfg.resume = False
    # each run has its own
    cfg.randomness = {key: item for key, item in (cfg.get('randomness') or {}).items() if key != 'seed'}
    fill_dataloaders(cfg)
    return cfg


def _check_validates(cfg: Config) -> None:
    """Refuse schedules and hooks that heed validation: a comparison has none, so they would do nothing."""
    for field in ('param_scheduler', 'custom_hooks', 'default_hooks'):
        for _, part in walk(cfg.get(field)):
            name = type_name(part) if isinstance(part, dict) else ''
            if name.startswith('ReduceOnPlateau') or name == 'EarlyStoppingHook':
                raise ValueError(
                    f'{field}: {name} heeds validation, which a comparison leaves out so that no run is '
                    'chosen by its score. Give a schedule of fixed length.'
                )
