"""What a checkpoint declares that it holds, found without loading it."""

import io
import math
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Optional, Union

import torch

from dpk_mm.utils.pickle_reader import PickleReader, TooLarge, compare

_MAGIC = torch.serialization.MAGIC_NUMBER
# The most values beside tensors, each counted as often as it is referred to; a file may have one a byte.
LARGEST = 1_000_000
_FOLDER = 0x10  # the attribute of a folder in a zip file


def check_declared(path: Union[str, os.PathLike]) -> Any:
    """Refuse a checkpoint that declares more than it has: loading it could take all memory.

    ``torch.save`` never deflates, so a zip file may declare as many bytes as it has. A single tensor may
    take 64 MiB where the file is smaller, and all arrays and bytes together 64 MiB more. Values count as
    often as they are referred to: whoever goes through them needs that time. Nothing of the file is run. A
    file that is no checkpoint passes: ``torch.load`` tells what it is.

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
                # torch's gives memory that it did not fill, which may by chance hold the same entry
                if info.external_attr & _FOLDER and info.file_size:
                    raise RuntimeError(f'{info.filename} is marked as a folder')
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
            compare(sum(info.file_size for info in infos), size, 'it')
            # torch takes the first of two, whatever their case, where Python takes the last
            if len({info.filename.casefold() for info in infos}) < len(infos):
                raise TooLarge('was not opened: it has two entries of one name')
            # the names of what tensors lie in: NAME/data/KEY
            records = {info.filename.partition('/data/')[2]: info.file_size for info in infos}
            mains = [info for info in infos if _is_main(info.filename)]
            if len(mains) != 1:
                return None
            content = archive.read(mains[0])
    except TooLarge:
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
        content = PickleReader(file, size, records).load()
        allowed = max(LARGEST, size)
        if count_values(content, _parts, {}) > allowed:
            raise TooLarge(f'was not opened: it stands for over {allowed:,} values, or holds itself')
        return content
    except RecursionError as error:
        raise ValueError('was not opened: it is nested too deeply') from error
    except TooLarge as error:
        raise ValueError(str(error)) from error
    except Exception:  # whatever the bytes lead to, torch.load tells better
        return None


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
