"""Check a value of a config by a type hint.

``Annotated[float, Range(above=0)]`` has bounds, ``Literal['a', 'b']`` has choices.
"""

import math
import numbers
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from dpk_mm.utils.errors import FieldError, shown


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

_UNIONS = (Union, types.UnionType)
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
    if fits(value, hint):
        return
    for item_hint in _item_hints(hint) if isinstance(value, (list, tuple)) else ():
        wrong = [i for i, item in enumerate(value) if not fits(item, item_hint)]
        if wrong:
            check(value[wrong[0]], item_hint, f'{field}[{wrong[0]}]', owner)
    raise FieldError(field, f' must be {_describe(hint)}, got {shown(value)}.', owner)


def _item_hints(hint: Any) -> Iterator[Any]:
    """What fits an item of the lists of any length that a hint allows."""
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (list, tuple, Sequence) and (kind is not tuple or parts[1:] == (Ellipsis,)):
        yield from parts[:1]
    elif kind is Annotated or kind in _UNIONS:
        for part in parts[:1] if kind is Annotated else parts:
            yield from _item_hints(part)


def fits(value: Any, hint: Any) -> bool:
    """Whether :func:`check` lets a value pass."""
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Any:
        return True
    if kind is Annotated:
        bounds = (part for part in parts[1:] if isinstance(part, Range))
        return fits(value, parts[0]) and all(value in bound for bound in bounds)
    if kind in _UNIONS:
        return any(fits(value, part) for part in parts)
    if kind is Literal:
        return any(fits(value, type(part)) and value == part for part in parts)
    if kind in (None, type(None)):
        return value is None
    if kind in (float, int):
        number = numbers.Real if kind is float else numbers.Integral
        is_number = isinstance(value, number) and not isinstance(value, bool)
        return is_number and (not isinstance(value, float) or math.isfinite(value))
    if kind in (list, tuple, Sequence):
        if not isinstance(value, (list, tuple)):
            return False
        if kind is tuple and parts and parts[-1] is not Ellipsis:
            return len(value) == len(parts) and all(map(fits, value, parts))
        return not parts or all(fits(item, parts[0]) for item in value)
    if kind in (dict, Mapping):
        return isinstance(value, dict)
    return not isinstance(kind, type) or isinstance(value, kind)


def _describe(hint: Any) -> str:
    """What fits, in words."""
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is Annotated:
        said = [part for part in parts[1:] if isinstance(part, str)]
        return said[0] if said else ' '.join([_describe(parts[0]), *map(str, parts[1:])])
    if kind in _UNIONS:
        words = list(dict.fromkeys(_describe(part) for part in parts if part is not type(None)))
        return ' or '.join(filter(None, [', '.join(words[:-1]), words[-1]]))
    if kind is Literal:
        return ' or '.join(filter(None, [', '.join(map(repr, parts[:-1])), repr(parts[-1])]))
    return _NAMES.get(kind) or f'a {getattr(kind, "__name__", kind)}'
