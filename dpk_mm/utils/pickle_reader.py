"""Read a pickle without running any of it."""

import math
import pickle
import re
from typing import IO, Any, Optional

# What files may declare beside their own size, in bytes: an expanded tensor has few numbers for many.
FLOOR = 64 << 20
# bytes of a number in torch's storages; all others count bytes
_WIDTHS = dict(
    **dict(Double=8, Float=4, Half=2, BFloat16=2, Long=8, Int=4, Short=2),
    **dict(ComplexDouble=16, ComplexFloat=8, QInt32=4),
)
_SIZED = ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3', '_rebuild_qtensor')


def compare(declared: int, allowed: int, what: str) -> None:
    """Refuse what declares more bytes than are allowed, by :class:`TooLarge`."""
    if declared > allowed:
        raise TooLarge(
            f'was not opened: {what} declares {declared:,} bytes, {allowed:,} are allowed for a file of this '
            'size; it may be truncated'
        )


class TooLarge(ValueError):
    """More is declared than is allowed."""


class PickleReader(pickle._Unpickler):  # the one in C can be made to take memory by itself
    """Reads a pickle without running any of it, and adds up the memory that loading it would take.

    Args:
        file (IO[bytes]): The pickle.
        size (int): Of the whole file, in bytes.
        records (dict, optional): Key -> size, in bytes, of what the tensors lie in; None in a legacy file.
    """

    def __init__(self, file: IO[bytes], size: int, records: Optional[dict[str, int]]) -> None:
        super().__init__(file, encoding='utf-8')
        self.size, self.records = size, records
        self.total, self.seen = 0, set()

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for a class or a function."""
        if (module, name) == ('collections', 'OrderedDict'):
            return _Dict
        return type('StandIn', (_StandIn,), dict(origin=f'{module}.{name}', reader=self))

    def persistent_load(self, pid: Any) -> '_Storage':
        """Check a storage; its bytes lie elsewhere in the file."""
        if not isinstance(pid, tuple) or pid[:1] != ('storage',):
            raise pickle.UnpicklingError('no storage of torch')
        _, kind, key, _, numel = pid[:5]
        width = _width(getattr(kind, 'origin', ''))
        if not isinstance(numel, int) or not 0 <= numel < 1 << 62:
            raise TooLarge(f'was not opened: a storage of it declares {numel!r} numbers')
        if self.records is None:
            if key not in self.seen:
                self.seen.add(key)
                self.total += numel * width
            compare(self.total, self.size, 'it')
        elif key in self.records:
            compare(numel * width, self.records[key], f'a storage of {self.records[key]:,} bytes')
        return _Storage(width)

    def called(self, origin: str, args: tuple) -> None:
        """Check what a class or function would make of its arguments."""
        module, _, name = origin.rpartition('.')
        if module == 'torch._utils' and name in _SIZED and len(args) > 3:
            width = args[0].width if isinstance(args[0], _Storage) else 8
            numbers = max(_count(args[2]), _reach(*args[1:4]))
            compare(numbers * width, max(FLOOR, self.size), 'a tensor')
        elif origin in ('builtins.bytearray', '__builtin__.bytearray') and args and isinstance(args[0], int):
            self._add(_count(args[:1]))
        elif name in ('ndarray', '_reconstruct') and module.startswith('numpy'):
            shape = args[1:2] if name == '_reconstruct' else args[:1]
            widths = [arg.itemsize for arg in args if isinstance(arg, _StandIn)]
            self._add(_count(shape[0] if shape else ()) * max([1, *widths]))

    def _add(self, declared: int) -> None:
        self.total += declared
        compare(self.total, FLOOR + self.size, 'it')


class _StandIn:
    """Whatever a pickle makes; takes all that a pickle may do with it, and does nothing."""

    origin = ''
    reader: Any = None
    itemsize = 1

    def __new__(cls, *args: Any, **kwargs: Any) -> '_StandIn':
        """Made in place of the real one."""
        self = object.__new__(cls)
        self.parts = list(args)
        cls.reader and cls.reader.called(cls.origin, args)
        if cls.origin == 'numpy.dtype' and args:
            digits = re.search(r'\d+$', str(args[0]))
            self.itemsize = int(digits[0][:20]) if digits else 16
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is kept."""

    def __call__(self, *args: Any) -> '_StandIn':
        """Called, as what getattr gave."""
        return _StandIn()

    def _keep(self, *args: Any) -> None:
        """What is done to the real one; what is put into it is counted."""
        self.parts.extend(args)

    __setstate__ = __setitem__ = append = extend = add = update = _keep


class _Dict(dict):
    """What a state dict is; of how it is made and what is said of it, nothing is kept."""

    def __init__(self, *args: Any) -> None:
        """Nothing is kept."""

    def __setstate__(self, state: Any) -> None:
        """Nothing is kept."""


class _Storage(_StandIn):
    """A storage, and how many bytes a number of it has."""

    def __init__(self, width: int) -> None:
        self.width = width


def _count(shape: Any) -> int:
    """How many numbers a shape has; a shape that is none counts as too many."""
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if len(shape) > 64 or not all(isinstance(side, int) and 0 <= side < 1 << 62 for side in shape):
        return 0 if any(isinstance(side, _StandIn) for side in shape) else 1 << 62
    return math.prod(shape)


def _reach(offset: Any, shape: Any, strides: Any) -> int:
    """How many numbers of its storage a tensor spans, for which torch makes a short storage longer."""
    numbers = [offset, *shape, *strides] if isinstance(shape, tuple) and isinstance(strides, tuple) else ()
    if not numbers or not all(isinstance(one, int) and 0 <= one < 1 << 62 for one in numbers):
        return _count(numbers or ())
    return offset + 1 + sum(stride * (side - 1) for side, stride in zip(shape, strides) if side)


def _width(origin: str) -> int:
    """Bytes of a number in a class of torch's storages."""
    return _WIDTHS.get(origin.removeprefix('torch.').removesuffix('Storage'), 1)
