"""What a checkpoint declares that it holds, found without loading it."""

import io
import math
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Optional, Union

import torch

# What files may declare beside their own size, in bytes: an expanded tensor has few numbers for many.
FLOOR = 64 << 20
# bytes of a number in torch's storages; all others count bytes
_WIDTHS = dict(
    Double=8, Float=4, Half=2, BFloat16=2, Long=8, Int=4, Short=2, ComplexDouble=16, ComplexFloat=8
)
_WIDTHS.update(QInt32=4)
_MAGIC = torch.serialization.MAGIC_NUMBER
# The most values beside tensors, each counted as often as it is referred to; a file may have one a byte.
LARGEST = 1_000_000
_SIZED = ('_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3', '_rebuild_qtensor')


def check_declared(path: Union[str, os.PathLike]) -> Any:
    """Refuse a checkpoint that declares more than it has: loading it could take all memory.

    ``torch.save`` never deflates, so a zip file may declare as many bytes as it has. A single tensor, and all
    arrays and bytes together, may take 64 MiB more. Values count as often as they are referred to: whoever
    goes through them needs that time. Nothing of the file is run. A file that is no checkpoint passes:
    ``torch.load`` tells what it is.

    Args:
        path (str or PathLike): An ordinary file.

    Returns:
        Any: What the file holds, with stand-ins for all but plain values, dicts and lists; None for what is
        no checkpoint.

    Raises:
        ValueError: It declares more; the rest of a sentence that begins with the file's name.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        return (_check_zip if is_zip(path) else _check_legacy)(file, size)


def is_zip(path: Union[str, os.PathLike]) -> bool:
    """Whether torch reads a file as a zip file: by how it begins, where others look at the end."""
    with open(path, 'rb') as file:
        return file.read(4) == b'PK\3\4'


def check_whole(path: Union[str, os.PathLike]) -> None:
    """Refuse a checkpoint of ``torch.save`` that is cut off, has other bytes than were written, or is none.

    It is read by Python's reader and by torch's own, which trips over more: what passes here can be loaded.

    Args:
        path (str or PathLike): A file.

    Raises:
        ValueError: It is damaged, or :func:`check_declared` refuses it; the rest of a sentence that begins
            with the file's name.
    """
    if os.path.getsize(path) == 0:
        raise ValueError('is empty')
    check_declared(path)
    try:
        if not is_zip(path):
            raise ValueError('is no checkpoint')
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if not any(_is_main(info.filename) for info in infos):
                raise ValueError('is no checkpoint, but a zip file of others')
            reader = torch._C.PyTorchFileReader(str(path))
            for info in infos:
                if not info.CRC:  # torch can be told to write none
                    del info.CRC
                # torch's may give memory that it did not fill, and which held the same entry before
                if archive.read(info) != reader.get_record(info.filename.partition('/')[2]):
                    raise RuntimeError(f'{info.filename} has other bytes than were written')
    except ValueError:
        raise
    except Exception as error:  # whatever the readers raise
        why = str(error).split('\n')[0].split('. ')[0]
        raise ValueError(f'is damaged; it may be truncated ({why})') from error


def _is_main(name: str) -> bool:
    """Whether this is the name of the pickle in a zip file of ``torch.save``."""
    return name.count('/') == 1 and name.endswith('/data.pkl')


def _check_zip(file: IO[bytes], size: int) -> Any:
    """Check the entries of a zip file, then the pickle in it."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            _compare(sum(info.file_size for info in infos), size, 'it')
            # torch takes the first of two, whatever their case, where Python takes the last
            if len({info.filename.casefold() for info in infos}) < len(infos):
                raise _TooLarge('was not opened: it has two entries of one name')
            # the names of what tensors lie in: NAME/data/KEY
            records = {info.filename.partition('/data/')[2]: info.file_size for info in infos}
            mains = [info for info in infos if _is_main(info.filename)]
            if len(mains) != 1:
                return None
            content = archive.read(mains[0])
    except _TooLarge:
        raise
    except Exception:  # whatever the decompressors raise; torch.load tells better
        return None
    return _read(io.BytesIO(content), size, records)


def _check_legacy(file: IO[bytes], size: int) -> Any:
    """Check the pickles of a file of torch before 1.6: a number, a version, a system and the content."""
    return [_read(file, size) for _ in range(3)][-1] if _read(file, size) == _MAGIC else None


def _read(file: IO[bytes], size: int, records: Optional[dict[str, int]] = None) -> Any:
    """Read a pickle with stand-ins for all that it names; None where it is none."""
    try:
        content = _Declared(file, size, records).load()
        allowed = max(LARGEST, size)
        if count_values(content, _parts, {}) > allowed:
            raise _TooLarge(f'was not opened: it stands for over {allowed:,} values, or holds itself')
        return content
    except RecursionError as error:
        raise ValueError('was not opened: it is nested too deeply') from error
    except _TooLarge as error:
        raise ValueError(str(error)) from error
    except Exception:  # whatever the bytes lead to, torch.load tells better
        return None


def _compare(declared: int, allowed: int, what: str) -> None:
    if declared > allowed:
        raise _TooLarge(
            f'was not opened: {what} declares {declared:,} bytes, {allowed:,} are allowed for a file of this '
            'size; it may be truncated'
        )


def count_values(value: Any, parts: Callable[[Any], Iterable[Any]], known: dict[int, float]) -> float:
    """Count the values within a value, each as often as it is referred to.

    Args:
        value (Any): The outermost.
        parts (Callable): What lies within a value itself.
        known (dict): The number of each that was counted, by its id; empty at first.

    Returns:
        float: Their number with ``value`` itself; infinite where one holds itself.

    Raises:
        RecursionError: They are nested too deeply.
    """
    if id(value) not in known:
        known[id(value)] = math.inf
        known[id(value)] = 1 + sum(count_values(part, parts, known) for part in parts(value))
    return known[id(value)]


def _parts(value: Any) -> Iterator[Any]:
    """What lies within a value of a pickle."""
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from value
    yield from getattr(value, '__dict__', {}).get('parts', ())


class _TooLarge(ValueError):
    """More is declared than is allowed."""


class _Declared(pickle._Unpickler):  # the one in C can be made to take memory by itself
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
            raise _TooLarge(f'was not opened: a storage of it declares {numel!r} numbers')
        if self.records is None:
            if key not in self.seen:
                self.seen.add(key)
                self.total += numel * width
            _compare(self.total, self.size, 'it')
        elif key in self.records:
            _compare(numel * width, self.records[key], f'a storage of {self.records[key]:,} bytes')
        return _Storage(width)

    def called(self, origin: str, args: tuple) -> None:
        """Check what a class or function would make of its arguments."""
        module, _, name = origin.rpartition('.')
        if module == 'torch._utils' and name in _SIZED and len(args) > 3:
            width = args[0].width if isinstance(args[0], _Storage) else 8
            numbers = max(_count(args[2]), _reach(*args[1:4]))
            _compare(numbers * width, max(FLOOR, self.size), 'a tensor')
        elif origin in ('builtins.bytearray', '__builtin__.bytearray') and args and isinstance(args[0], int):
            self._add(_count(args[:1]))
        elif name in ('ndarray', '_reconstruct') and module.startswith('numpy'):
            shape = args[1:2] if name == '_reconstruct' else args[:1]
            widths = [arg.itemsize for arg in args if isinstance(arg, _StandIn)]
            self._add(_count(shape[0] if shape else ()) * max([1, *widths]))

    def _add(self, declared: int) -> None:
        self.total += declared
        _compare(self.total, FLOOR + self.size, 'it')


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
