"""Read weights without running what a checkpoint file may carry."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier
from torch import Tensor

from dpk_mm.utils.compat import allow_upstream_checkpoints
from dpk_mm.utils.declared import check_declared, check_whole, is_zip
from dpk_mm.utils.load_errors import explain_load_error

# What torch.compile, FSDP and activation checkpointing put into the names of weights, and DDP before them.
_WRAPPERS = re.compile(r'(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.')

# How OpenMMLab and torch name published weights: by the first digits of their SHA-256.
_HASHED = re.compile(r'[-_](?P<hash>[0-9a-f]{8,64})\.\w+$')


def load_weights(checkpoint: str, trust: bool = False, field: str = 'checkpoint') -> dict[str, Tensor]:
    """The state dict in a checkpoint file, on the CPU.

    Args:
        checkpoint (str): A path or a URL (kept in torch's hub cache; one process a node fetches it).
        trust (bool): Also unpickle what torch's weights-only loader refuses. Such a file can run any
            code: only for files whose source you trust.
        field (str): What the user calls it in their own config; named in errors.

    Returns:
        dict[str, Tensor]: Of ``state_dict`` or ``model`` where the file has such an entry, else the
        whole; without DDP's ``module.`` and what torch.compile, FSDP and activation checkpointing add.

    Raises:
        FileNotFoundError: There is no such file, or it cannot be fetched.
        ValueError: The file is damaged, declares more than it has, holds more than weights (names the
            opt-in), or no weights.
    """
    path = fetch(checkpoint, field)
    allow_upstream_checkpoints()
    check_file(path, f'{field}={checkpoint!r}')
    try:
        content = torch.load(path, map_location='cpu', weights_only=not trust)
    except Exception as error:  # torch raises whatever the bytes lead to
        opt_in = None if trust else 'set trust_checkpoint=True'
        raise ValueError(f'{field}={checkpoint!r} {explain_load_error(error, path, opt_in)}') from error

    for entry in ('state_dict', 'model'):
        if isinstance(content, dict) and isinstance(content.get(entry), dict):
            content = content[entry]
            break
    if not isinstance(content, dict) or not any(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(
            f'{field}={checkpoint!r} holds no weights at its top, nor in state_dict or model, but '
            f'{_describe(content)}.'
        )
    return {_WRAPPERS.sub('', str(key)).removeprefix('module.'): value for key, value in content.items()}


def _describe(content: Any) -> str:
    """What a file holds, in some words: the entries of a dict, with the number of tensors in each."""
    if not isinstance(content, dict):
        return f'a {type(content).__name__}'
    numbers = {
        str(key): sum(isinstance(one, Tensor) for one in value.values()) if isinstance(value, dict) else 0
        for key, value in content.items()
    }
    said = [f'{key!r} of {number} tensors' if number else repr(key) for key, number in numbers.items()]
    return ', '.join(said[:8] + ['...'] * (len(said) > 8)) or 'nothing'


def check_resumable(path: str, what: str) -> None:
    """Refuse to go on from a file that holds weights alone; a folder, as of shards, passes.

    Args:
        path (str): A checkpoint; one that cannot be read is left to whoever loads it.
        what (str): What the user calls it; named in the error.

    Raises:
        ValueError: It says nothing of a training; says how to start from it.
    """
    if not Path(path).is_file():
        return
    content = check_declared(path)  # reads no weights
    if isinstance(content, dict) and not {'meta', 'message_hub'} <= set(content):
        try:
            content = torch.load(path, map_location='cpu', weights_only=True)
        except Exception:  # told when it is loaded
            return
        raise ValueError(
            f'{what}: {path} is no checkpoint of a training to go on from: it holds {_describe(content)}. To '
            'start from its weights give --cfg-options load_from=... in place of --resume.'
        )


def fetch(checkpoint: str, field: str = 'checkpoint') -> str:
    """The local file of a checkpoint.

    Args:
        checkpoint (str): A path or a URL (kept in torch's hub cache; one process a node fetches it).
        field (str): What the user calls it in their own config; named in errors.

    Returns:
        str: Its path.

    Raises:
        FileNotFoundError: There is no such file, it is a folder, or it cannot be fetched.
    """
    path = _download(checkpoint, field) if urlparse(checkpoint).scheme in ('http', 'https') else checkpoint
    if Path(path).is_dir():
        raise FileNotFoundError(f'{field}={checkpoint!r} is a folder: name a file in it.')
    if not Path(path).is_file():
        raise FileNotFoundError(f'{field}={checkpoint!r}: no such file (relative to {Path.cwd()}).')
    return path


def check_checkpoint(path: Optional[str], what: str, sharded: bool = False) -> None:
    """Refuse a checkpoint that is not there, or declares too much; a URL is left to its download.

    Args:
        path (str, optional): The file, or a URL.
        what (str): What the user calls it; named in the error.
        sharded (bool): Whether it may be a folder, as strategies write it. Defaults to False.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no ordinary file, or declares more than it has.
    """
    if path is None or '://' in path:
        return
    if not Path(path).exists():
        raise FileNotFoundError(f'{what}: no such checkpoint: {path}')
    if Path(path).is_dir() and not sharded:
        raise ValueError(f'{what}: {path} is a folder; give a file in it')
    check_file(path, f'{what}: {path}')


def check_file(path: str, what: str) -> None:
    """Refuse a file whose bytes are not those that were written, or that declares more than it has.

    Torch itself reads changed bytes, such as the zeros that a crash of the machine leaves, as weights. See
    :func:`check_whole` and :func:`check_declared`.

    Args:
        path (str): A local path; a folder, as sharded checkpoints are, passes.
        what (str): Names it in the error.

    Raises:
        ValueError: It is no ordinary file, such as a pipe, is damaged, or declares too much.
    """
    if Path(path).is_dir():
        return
    if not Path(path).is_file():
        raise ValueError(f'{what} is no ordinary file')
    try:
        (check_whole if is_zip(path) else check_declared)(path)
    except ValueError as error:
        raise ValueError(f'{what} {error}') from error


def _download(url: str, field: str) -> str:
    """Fetch ``url`` into torch's hub cache, one process a node, and return the file's path."""
    name = Path(urlparse(url).path)
    known = _HASHED.search(name.name)
    # a name that holds its file's hash is one of a kind; others are told apart by the whole URL
    own = name.name if known else f'{name.stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{name.suffix}'
    path = Path(torch.hub.get_dir()) / 'checkpoints' / own
    failure = None
    if int(os.environ.get('LOCAL_RANK', 0)) == 0 and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=known['hash'] if known else None)
        except Exception as error:  # the other processes wait at the barrier
            failure = error
    barrier()
    if not path.is_file():
        raise FileNotFoundError(
            f'{field}: could not fetch {url} ({failure or "the first process failed"}). '
            f'Fetch it elsewhere and put it at {path}, or give its path as {field}.'
        ) from failure
    return str(path)
