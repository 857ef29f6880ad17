"""Check what a config says by the annotations of the constructor that takes it.

Each class that is registered in :mod:`dpk_mm.registry` is checked, so a constructor states what fits once: by
its annotations. ``Annotated[float, Range(above=0)]`` has bounds, ``Literal['a', 'b']`` has choices.
"""

import difflib
import functools
import inspect
import math
import numbers
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, Union


class FieldError(ValueError):
    """A field of a config that does not fit.

    Args:
        field (str): Its path, such as ``'stages.p4.loss.temperature'``.
        problem (str): The rest of the message, such as ``' must be a number above 0, got -1.'``.
    """

    def __init__(self, field: str, problem: str, owner: str = '') -> None:
        super().__init__(f'{field}{problem}'.removeprefix(': '))
        self.field, self.problem, self.owner = field, problem, owner

    def under(self, field: str, cfg: Any = None) -> 'FieldError':
        """The same of a field that lies in another one, somewhere in its value ``cfg``."""
        first = re.split(r'[.\[]', self.field)[0]
        # a base class says its own name
        own = _find(cfg, self.owner, first) or _find(cfg, '', first) if self.field else None
        path = '.'.join(filter(None, [field, own, self.field]))
        return FieldError(path, self.problem, '' if cfg else self.owner)


class DivergedError(RuntimeError):
    """A training whose numbers are not finite any more; one line says what to do."""


@contextmanager
def within(field: str, cfg: Any = None) -> Iterator[None]:
    """Name the field in whose value an error arose.

    Args:
        field (str): Its path; '' for a whole config.
        cfg (Any, optional): Its value, in which what registries and constructors of others say is looked for.

    Raises:
        FieldError: In place of what a constructor raises for a wrong value.
    """
    try:
        yield
    except FieldError as error:
        raise error.under(field, cfg) from error
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
        text = ' '.join(str(error.args[0] if error.args else type(error).__name__).split())
        if field and text.startswith(field):
            raise ValueError(text) from error
        raise (_explain(text, cfg) or FieldError('', f': {text}')).under(field, cfg) from error


# what mmengine's registries and Python's calls say
_UNKNOWN = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'(\w+)\.__init__\(\) missing \d+ required .*?: (.*)')
_UNREGISTERED = re.compile(r'(\S+) is not in the (\S+::.+?|\S+) registry')
_FIELD = re.compile(r'(?!type\b)([A-Za-z_]\w*)[\w.\[\]]*(?=[ =:])')


def _explain(text: str, cfg: Any) -> Optional[FieldError]:
    """The field that an error of a registry, or of a constructor of others, is about."""
    if found := _UNKNOWN.search(text):
        return FieldError(found[2], f': {found[1]} has no such field.', found[1])
    if found := _MISSING.search(text):
        return FieldError('type', f': {found[1]} also needs {found[2]}.', found[1])
    if found := _UNREGISTERED.search(text):
        return FieldError('type', f': {found[1]!r} is not registered as a {found[2]}.', found[1])
    found = _FIELD.match(text)  # a message that begins with its field
    if found and _find(cfg, '', found[1]) is not None:
        return FieldError(found[0], text[found.end() :])
    # a message that says a value, which one field alone has
    said = [path for path, value in walk(cfg) if isinstance(value, str) and value and repr(value) in text]
    return FieldError(said[0], f': {text}') if len(said) == 1 else None


def walk(value: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Go through a config, each dict or list before what is in it.

    Args:
        value (Any): A value of a config.
        path (str): Its path. Defaults to ``''``, for a whole config.

    Yields:
        tuple[str, Any]: The path of a value, such as ``'stages.p4.at[0]'``, and the value.
    """
    yield path, value
    if not isinstance(value, (dict, list, tuple)):
        return
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from walk(item, f'{path}[{name}]' if isinstance(name, int) else f'{path}.{name}'.lstrip('.'))


def _find(cfg: Any, kind: str, key: str) -> Optional[str]:
    """The path of the first dict in a config that has a key and is of a type, or of any; '' for the whole."""
    for path, value in walk(cfg):
        if isinstance(value, dict) and key in value:
            own = str(getattr(value.get('type'), '__name__', value.get('type')))
            if not kind or kind in (own, own.rpartition('.')[2]):
                return path
    return None


@dataclass(frozen=True)
class Range:
    """Bounds of a number: ``least`` and ``most`` fit, ``above`` and ``below`` do not."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        bounds = {'from': self.least, 'above': self.above, 'to': self.most, 'to below': self.below}
        said = [f'{word} {bound:g}' for word, bound in bounds.items() if math.isfinite(bound)]
        return ' '.join(said) + (' on' if len(said) == 1 and math.isfinite(self.least) else '')


NotNegative = Annotated[float, Range(least=0)]
Positive = Annotated[float, Range(above=0)]
Share = Annotated[float, Range(least=0, most=1)]
NotNegativeInt = Annotated[int, Range(least=0)]
Count = Annotated[int, Range(least=1), 'a positive integer']
Seed = Annotated[int, Range(least=0, below=1 << 32), 'an integer from 0 to 4294967295']
Shape = Annotated[tuple[Count, Count], 'a height and a width, such as (800, 1344)']

_NAMES = {
    float: 'a number',
    int: 'an integer',
    bool: 'True or False',
    str: 'a text',
    dict: 'a dict',
    list: 'a list',
    tuple: 'a list',
    Sequence: 'a list',
    type(None): 'None',
}


def find_value(cfg: Any, text: str) -> Optional[str]:
    """The path of the first field in a config whose value a file name ends with."""
    found = (path for path, value in walk(cfg) if isinstance(value, str) and value and text.endswith(value))
    return next(found, None)


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
                is_number = fractions and _fits(value, Union[float, Sequence[float]])
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
    try:
        hints = typing.get_type_hints(init, include_extras=True)
    except Exception:  # annotations that say what is not there at runtime
        plain = {'int': int, 'float': float, 'bool': bool}
        hints = {name: plain[one.annotation] for name, one in parameters.items() if one.annotation in plain}
    return {name: (one.default, hints[name]) for name, one in parameters.items() if name in hints}


def check(value: Any, hint: Any, field: str, owner: str = '') -> None:
    """Check a value of a config.

    Args:
        value (Any): What the config says.
        hint (Any): A type hint. Numbers must be finite, True and False are no numbers, a list fits a tuple.
        field (str): Its name, for the message.
        owner (str): The class that takes it.

    Raises:
        FieldError: It does not fit; names the field, what came and what would fit.
    """
    if _fits(value, hint):
        return
    for item_hint in _item_hints(hint) if isinstance(value, (list, tuple)) else ():
        wrong = [i for i, item in enumerate(value) if not _fits(item, item_hint)]
        if wrong:
            check(value[wrong[0]], item_hint, f'{field}[{wrong[0]}]', owner)
    raise FieldError(field, f' must be {_describe(hint)}, got {shown(value)}.', owner)


def shown(value: Any) -> str:
    """A value in a message: of a model, or of weights, it would have hundreds of lines."""
    text = ' '.join(repr(value).split())
    return text if len(text) <= 200 else f'{text[:200]}...'


def _item_hints(hint: Any) -> Iterator[Any]:
    """What fits an item of the lists of any length that a hint allows."""
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (list, tuple, Sequence) and (kind is not tuple or parts[1:] == (Ellipsis,)):
        yield from parts[:1]
    elif kind is Annotated or _is_union(kind):
        for part in parts[:1] if kind is Annotated else parts:
            yield from _item_hints(part)


def _is_union(kind: Any) -> bool:
    """Whether a hint's origin is that of alternatives."""
    return kind is Union or str(kind) == "<class 'types.UnionType'>"


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Any:
        return True
    if kind is Annotated:
        bounds = (part for part in parts[1:] if isinstance(part, Range))
        return _fits(value, parts[0]) and all(value in bound for bound in bounds)
    if _is_union(kind):
        return any(_fits(value, part) for part in parts)
    if kind is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if kind in (None, type(None)):
        return value is None
    if kind in (float, int):
        number = numbers.Real if kind is float else numbers.Integral
        fits = isinstance(value, number) and not isinstance(value, bool)
        return fits and (not isinstance(value, float) or math.isfinite(value))
    if kind in (list, tuple, Sequence):
        if not isinstance(value, (list, tuple)):
            return False
        if kind is tuple and parts and parts[-1] is not Ellipsis:
            return len(value) == len(parts) and all(map(_fits, value, parts))
        return not parts or all(_fits(item, parts[0]) for item in value)
    if kind in (dict, Mapping):
        return isinstance(value, dict)
    return not isinstance(kind, type) or isinstance(value, kind)


def _describe(hint: Any) -> str:
    """What fits, in words."""
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Annotated:
        said = [part for part in parts[1:] if isinstance(part, str)]
        return said[0] if said else ' '.join([_describe(parts[0]), *map(str, parts[1:])])
    if _is_union(kind):
        words = list(dict.fromkeys(_describe(part) for part in parts if part is not type(None)))
        return ' or '.join(filter(None, [', '.join(words[:-1]), words[-1]]))
    if kind is Literal:
        return ' or '.join(filter(None, [', '.join(map(repr, parts[:-1])), repr(parts[-1])]))
    return _NAMES.get(kind) or f'a {getattr(kind, "__name__", kind)}'


def unknown_field(name: str, kind: type, known: Sequence[str], under: str = '') -> FieldError:
    """The error of a field that a class does not take.

    Args:
        name (str): The field.
        kind (type): The class.
        known (Sequence[str]): The fields that it takes.
        under (str): The path of the dict that it stands in. Defaults to ``''``.

    Returns:
        FieldError: Lists the fields, and says which is meant where one is near.
    """
    near = difflib.get_close_matches(name, known, n=1)
    meant = f' Is {near[0]} meant?' if near else ''
    has = f'but {", ".join(known)}' if known else 'nor any other'
    problem = f': {kind.__name__} has no such field, {has}.{meant}'
    return FieldError(f'{under}.{name}'.lstrip('.'), problem, kind.__name__)


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
    hints: Optional[dict[str, Any]] = None

    @functools.wraps(init)
    def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal hints
        if hints is None:
            try:
                hints = typing.get_type_hints(init, include_extras=True)
            except Exception:  # annotations that say what is not there at runtime
                hints = {}
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
