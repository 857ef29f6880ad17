"""One error for a field of a config, with its path, whoever raised it."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional


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


def find_value(cfg: Any, text: str) -> Optional[str]:
    """The path of the first field in a config whose value a file name ends with."""
    found = (path for path, value in walk(cfg) if isinstance(value, str) and value and text.endswith(value))
    return next(found, None)


def shown(value: Any) -> str:
    """A value in a message: of a model, or of weights, it would have hundreds of lines."""
    text = ' '.join(repr(value).split())
    return text if len(text) <= 200 else f'{text[:200]}...'


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
