"""Say why torch did not open a file as a checkpoint."""

import os
import pickle
import re
import zipfile
from typing import Optional

import torch

from dpk_mm.utils.declared import is_zip

# How torch's weights-only loader, and dpk_mm's stand-in for getattr, name what they refuse.
_REFUSED = re.compile(
    r'(Unsupported (global|class)|Trying to (load unsupp|call reduce)|Can only (create|build)|getattr\().*'
)

# How files of other programs begin, in small letters, and what to do.
_FORMATS = {
    b'<': 'a web page, as a server sends in place of a file. Fetch it again',
    b'version https://git-lfs': 'a pointer of Git LFS. Fetch the file itself by git lfs pull',
    b'\x89hdf': 'an HDF5 file, as Keras writes, and no checkpoint of torch',
    b'\x1f\x8b': 'packed by gzip. Unpack it',
    b'\x93numpy': 'an array of numpy, and no checkpoint of torch',
    b'bzh': 'packed by bzip2. Unpack it',
    b'\xfd7zxz': 'packed by xz. Unpack it',
    b'(\xb5/\xfd': 'packed by zstd. Unpack it',
    b'rar!': 'packed by rar. Unpack it',
    b"7z\xbc\xaf'": 'packed by 7-Zip. Unpack it',
    b'gguf': 'a GGUF file, and no checkpoint of torch',
    b'\x89png': 'a picture',
    b'\xff\xd8\xff': 'a picture',
    b'%pdf': 'a PDF file',
    b'\x7felf': 'a program',
}

_PRINTED = {*b'\t\n\r', *range(32, 127)}


def explain_load_error(error: Exception, path: str, opt_in: Optional[str]) -> str:
    """Why ``torch.load`` did not open a file: it holds more than weights, or it is damaged.

    Args:
        error (Exception): What it raised.
        path (str): The file.
        opt_in (str, optional): What to do to open it all the same; None where there is no way.

    Returns:
        str: The rest of a sentence that begins with the file's name.
    """
    if written := _find_format(path):
        return f'is {written}.'
    text = str(error).split('WeightsUnpickler error: ')[-1].strip() or type(error).__name__
    refused = _REFUSED.search(text)
    what = refused[0] if refused else ''
    if 'Unsupported operand' in text:
        protocol, by_torch = _pickle_protocol(path)
        if protocol > 3 and by_torch:
            return (
                f'is a pickle of protocol {protocol}, and torch reads weights alone of protocols 2 and 3. '
                'Save it again by torch.save without pickle_protocol.'
            )
        what = 'a pickle that torch did not write' if protocol else ''
    if 'TorchScript' in text:
        return 'is a TorchScript archive. Save the state dict of what it holds by torch.save.'
    if 'Invalid magic number' in text and _pickle_protocol(path)[0]:
        return 'is a pickle that torch did not write. Save its weights by torch.save.'
    if isinstance(error, pickle.UnpicklingError) and what:
        advice = f': if you trust its source, {opt_in}' if opt_in else ''
        return f'holds more than weights and was not opened ({what}). Such a file can run any code{advice}.'
    return f'is no readable checkpoint; it may be truncated ({text.splitlines()[0]}).'


def _find_format(path: str) -> Optional[str]:
    """What another program wrote, by how the file begins; None where that is not known."""
    with open(path, 'rb') as file:
        start = file.read(512)
    if start[8:9] == b'{' and int.from_bytes(start[:8], 'little') < os.path.getsize(path):
        return 'a safetensors file. Save what safetensors.torch.load_file gives by torch.save'
    if start[257:262] == b'ustar':
        return 'a tar file. Unpack it'
    begin = start.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    found = next((words for known, words in _FORMATS.items() if begin.startswith(known)), None)
    if found is None and len(start) > 0 and set(start) <= _PRINTED:
        first = start.decode().splitlines()[0]
        found = f'a text that begins with {first[:60]!r}, and no checkpoint'
    return found


def _pickle_protocol(path: str) -> tuple[int, bool]:
    """The protocol of the pickle in a checkpoint, 0 where there is none, and whether torch wrote it."""
    start, by_torch = b'', is_zip(path)
    if by_torch:
        try:
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith('data.pkl'))
                start = archive.open(name).read(2)
        except Exception:  # damaged in one of many ways
            pass
    else:
        with open(path, 'rb') as file:
            start = file.read(64)
        # torch's older files begin with a number of its own
        by_torch = torch.serialization.MAGIC_NUMBER.to_bytes(10, 'little') in start
    return (start[1] if start[:1] == pickle.PROTO and len(start) > 1 else 0), by_torch
