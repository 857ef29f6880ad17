"""Build the parts of a stage from a config: a loss where a loss belongs, a neck where a neck belongs."""

import difflib
import inspect
from typing import Any, Optional

from torch import nn

from dpk_mm.registry import MODELS
from dpk_mm.utils.checks import accepts
from dpk_mm.utils.errors import FieldError, shown, within

from .losses import DistillLoss
from .priors import BasePrior


def check_part(cfg: Any, part: str, field: str) -> type:
    """The class of a part's config.

    Args:
        cfg (Any): What the config says.
        part (str): ``'loss'``, ``'prior'``, ``'neck'`` or ``'mask'``.
        field (str): Its name, for the message.

    Raises:
        FieldError: It is no dict with a type, the type is not registered, or is no such part.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise FieldError(field, f' must be a dict with a type, got {shown(cfg)}.')
    kind = MODELS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    if kind is None:
        known = [f'dpk_mm.{name}' for name in MODELS.module_dict]
        near = difflib.get_close_matches(str(cfg['type']), known, n=1)
        meant = f' Is {near[0]!r} meant?' if near else ''
        raise FieldError(f'{field}.type', f': {cfg["type"]!r} is not registered.{meant}')
    if problem := _misfit(kind, part):
        raise FieldError(f'{field}.type', f': {cfg["type"]!r} is no {part}: {problem}.')
    return kind


def _misfit(kind: type, part: str) -> Optional[str]:
    """Why a class is none of a part; None where it is one."""
    nominal = dict(loss=DistillLoss, prior=BasePrior).get(part)
    if nominal is not None:
        is_one = inspect.isclass(kind) and issubclass(kind, nominal)
        return None if is_one else f'a {part} subclasses {nominal.__name__}'
    takes = dict(
        neck=('student_feat', 'teacher_feat', 'ratio', 'generator'),
        mask=('teacher_feat', 'patch_size', 'generator'),
    )[part]
    is_module = inspect.isclass(kind) and issubclass(kind, nn.Module)
    name = 'forward' if is_module else '__call__'
    classes = inspect.getmro(kind) if inspect.isclass(kind) else ()
    call = next((vars(one)[name] for one in classes if name in vars(one)), None)
    if part == 'neck' and not is_module or is_module and issubclass(kind, DistillLoss):
        call = None
    return None if call and accepts(call, 1 + len(takes)) else f'it must take ({", ".join(takes)})'


def build_part(cfg: Any, part: str, field: Optional[str] = None, **found: Any) -> Any:
    """Build a part, filling in those of the channel counts ``found`` that its class asks for.

    Args:
        cfg (Any): What the config says.
        part (str): See :func:`check_part`.
        field (str, optional): Its name, for messages. Defaults to that of the part.
        **found (Any): What the dry run found.

    Raises:
        FieldError: As :func:`check_part`; a field that does not fit, or a declared channel count that is not
            the one found.
    """
    field = field or part
    asked = inspect.signature(check_part(cfg, part, field).__init__).parameters
    for name, value in found.items():
        own = cfg.get(name, value)
        own = tuple(own) if isinstance(own, list) else own  # JSON and YAML have no tuples
        if name in asked and own != value:
            raise FieldError(f'{field}.{name}', f' is {cfg[name]!r}, but the layer gives {value}.')
    with within(field):
        return MODELS.build({**{k: v for k, v in found.items() if k in asked}, **cfg})
