"""Check what a config says by the annotations of the constructor that takes it.

Each class that is registered in :mod:`dpk_mm.registry` is checked, so a constructor states what fits once: by
its annotations.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

from dpk_mm.utils.errors import FieldError, unknown_field
from dpk_mm.utils.hints import check, fits


def check_fields(
    cfg: dict,
    kind: type,
    field: str,
    only: Optional[tuple[type, ...]] = None,
    fractions: bool = False,
) -> None:
    """Check the fields of a config by the annotations of a class of others.

    Args:
        cfg (dict): Fields; those without annotation, and those that equal their default, fit.
        kind (type): The class that is built of it.
        field (str): Its path, for the message.
        only (tuple[type, ...], optional): Check the fields with these annotations alone.
        fractions (bool): Whether other numbers fit where upstream says an integer, as a schedule of parts
            of epochs has them. Defaults to False.

    Raises:
        FieldError: A field does not fit.
    """
    for name, value in cfg.items():
        for one in kind.__mro__:
            default, hint = _annotations(one).get(name, (None, None))
            # where upstream says a text, numbers often fit, too
            if hint not in (None, str) and (only is None or hint in only):
                is_part = isinstance(value, dict) and 'type' in value  # of which an object is made first
                is_usual = type(value) is type(default) and value == default
                is_whole = hint in (int, Optional[int]) and isinstance(value, float) and value.is_integer()
                is_number = fractions and fits(value, Union[float, Sequence[float]])
                if not (is_part or is_usual or is_whole or is_number):
                    check(value, hint, f'{field}.{name}'.lstrip('.'))
                break


@functools.cache
def _annotations(kind: type) -> dict[str, tuple[Any, Any]]:
    """Argument -> default and annotation, of a class's own constructor."""
    init = vars(kind).get('__init__')
    if init is None or kind is object:
        return {}
    try:
        parameters = inspect.signature(init).parameters
    except ValueError:  # no function of Python's
        return {}
    hints = _hints(init)
    return {name: (one.default, hints[name]) for name, one in parameters.items() if name in hints}


@functools.cache
def _hints(init: Callable[..., None]) -> dict[str, Any]:
    """Argument -> annotation; only the plain ones where some say what is not there at runtime."""
    try:
        return typing.get_type_hints(init, include_extras=True)
    except Exception:
        plain = {'int': int, 'float': float, 'bool': bool}
        return {
            name: plain[one] for name, one in getattr(init, '__annotations__', {}).items() if one in plain
        }


def checked(init: Callable[..., None]) -> Callable[..., None]:
    """Make a constructor check its arguments by its annotations; what equals its default always fits.

    Raises:
        FieldError: From the constructor: a field that it does not take, lacks, or that does not fit.
    """
    if getattr(init, 'is_checked', False):
        return init
    parameters = dict(list(inspect.signature(init).parameters.items())[1:])
    takes = {
        name for name, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    }

    @functools.wraps(init)
    def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
        hints = _hints(init)
        given = {**dict(zip(parameters, args)), **kwargs}
        if len(takes) == len(parameters):
            for name in set(given) - takes:
                raise unknown_field(name, type(self), list(parameters)[len(args) :])
        for name in takes:
            default = parameters[name].default
            if name not in given:
                if default is inspect.Parameter.empty:
                    owner = type(self).__name__
                    raise FieldError(name, f' is missing: {owner} needs it.', owner)
            elif name in hints and not _same(given[name], default):
                hint = getattr(type(self), 'field_hints', {}).get(name, hints[name])
                check(given[name], hint, name, type(self).__name__)
        init(self, *args, **kwargs)

    constructor.is_checked = True
    return constructor


def _same(value: Any, default: Any) -> bool:
    """Whether a value is the default, or equals it."""
    return value is default or type(value) is type(default) is float and value == default


def accepts(function: Callable[..., Any], number: int) -> bool:
    """Whether a function, or a method with its ``self``, can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(number))
    except TypeError:
        return False
    return True
