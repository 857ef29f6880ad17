"""Configs of distillation made from the config of a training and a teacher."""

import copy
import logging
import os
from pathlib import Path
from typing import Any, Optional, Union

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from yapf.yapflib.yapf_api import FormatCode

from dpk_mm.methods.image_size import training_shape
from dpk_mm.registry import MODELS
from dpk_mm.utils.config import as_dict
from dpk_mm.utils.runner import save_safely
from dpk_mm.utils.teacher_config import split_checkpoint, teacher_cfg
from dpk_mm.utils.unwrap import unwrap

_STYLE = dict(based_on_style='pep8', column_limit=100, split_before_expression_after_opening_paren=True)


def add_distiller(cfg: Config, teacher: str, method: Optional[str] = None) -> None:
    """Make of the config of a training the one of its distillation.

    The optimizer, the schedule, the data and the hooks stay, but for the hook that writes checkpoints.

    Args:
        cfg (Config): Of the student's training, changed in place.
        teacher (str): ``'CONFIG'``, whose weights upstream publishes, or ``'CONFIG:CHECKPOINT'``.
        method (str, optional): See :class:`dpk_mm.Distiller`. Defaults to ``'dpk'``.

    Raises:
        ValueError: The config has no model, or one that has a teacher already.
    """
    config, checkpoint = split_checkpoint(teacher)
    if checkpoint is None and '::' not in config:
        raise ValueError(f'teacher {teacher!r}: its weights are missing, say {config}:CHECKPOINT')
    model = cfg.get('model')
    if not isinstance(model, dict):
        raise ValueError('the config has no model')
    if 'student' in model and 'teacher' in model:
        raise ValueError('model.teacher is in the config already; --teacher is for the config of a student')
    cfg.model = ConfigDict(
        type='dpk_mm.Distiller', student=model, teacher=teacher_cfg(teacher), method=method or 'dpk'
    )
    if (shape := training_shape(cfg)) is not None:
        cfg.model.input_shape = shape
    save_safely(cfg)


def build_blank(cfg: Config) -> Any:
    """Build the distiller of a config without the teacher's weights, which no shape depends on.

    Args:
        cfg (Config): Of a distillation.

    Returns:
        Distiller: With a random teacher.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    teacher = teacher_cfg(cfg.model.teacher)
    blank = dict(cfg.model, teacher=dict(teacher, checkpoint=None, allow_incomplete=True))
    if cfg.get('data_preprocessor') is not None:
        blank.setdefault('data_preprocessor', cfg.data_preprocessor)  # as mmengine's runner does
    return MODELS.build(copy.deepcopy(blank))


def spell_out(model: dict, distiller: Any) -> dict:
    """The model dict of a distiller with all that its method chose.

    Args:
        model (dict): With ``method``.
        distiller (Distiller): What was built of it.

    Returns:
        dict: A copy with ``stages``, ``init_student`` and ``optimizer`` in place of ``method`` and
            ``loss_weight``.
    """
    spelled = {key: value for key, value in copy.deepcopy(dict(model)).items() if key != 'loss_weight'}
    spelled.update(
        method=None,
        init_student=distiller.init_student,
        optimizer=distiller.optimizer,
        stages=_named(distiller.stage_cfgs),
    )
    return spelled


def _named(value: Any) -> Any:
    """With names in place of classes, which a config in Python may hold."""
    if isinstance(value, dict):
        return {key: _named(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_named, value))
    if not isinstance(value, type):
        return value
    own = MODELS.module_dict.get(value.__name__) is value
    return f'dpk_mm.{value.__name__}' if own else f'{value.__module__}.{value.__qualname__}'


def dump_choice(runner: Runner) -> None:
    """Write what a distiller's method chose into the config that the runner keeps beside its checkpoints.

    Args:
        runner (Runner): Built; one whose model has no method is left as it is.
    """
    model = unwrap(runner.model)
    if getattr(model, 'method', None) is not None:
        if model.init_student and runner.cfg.get('load_from') and not runner.cfg.get('resume'):
            text = 'load_from is read after the student has inherited, and overwrites it: take one of the two'
            print_log(text, 'current', logging.WARNING)
        runner.cfg.model = ConfigDict(spell_out(as_dict(runner.cfg)['model'], model))
        runner.dump_config()


def config_text(cfg: Config, base: str, path: Union[str, Path], heading: str) -> str:
    """The text of a config file that inherits a training's config and adds the distiller.

    Args:
        cfg (Config): With the model spelled out.
        base (str): The training's config: ``'pkg::path'`` or a file.
        path (str or Path): Where the text will be.
        heading (str): First lines, without ``#``.

    Returns:
        str: Python.
    """
    if '::' not in base:
        base = os.path.relpath(base, Path(path).resolve().parent)
    model = {key: value for key, value in cfg.model.to_dict().items() if key not in ('method', 'student')}
    fields = dict(model=dict(_delete_=True, type=model.pop('type'), student='_base_.model', **model))
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if hook.get('type') == 'dpk_mm.PlainCheckpointHook':
        fields['default_hooks'] = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
    lines = ''.join(f'# {line}\n' for line in heading.splitlines())
    code = ''.join(f'{name} = {_code(value)}\n' for name, value in fields.items())
    code, _ = FormatCode(code.replace("'_base_.model'", '_base_.model'), style_config=_STYLE)
    return f'{lines}_base_ = [{base!r}]\n\n{code}'


def _code(value: Any) -> str:
    """A value as configs are written: dicts by calls."""
    if isinstance(value, dict) and all(str(key).isidentifier() for key in value):
        return f'dict({", ".join(f"{key}={_code(item)}" for key, item in value.items())})'
    return repr(value)
