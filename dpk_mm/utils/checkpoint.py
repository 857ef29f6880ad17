"""Read weights without running what a checkpoint file may carry."""

import pickle
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank
from torch import Tensor


def load_weights(checkpoint: str, trust: bool = False, field: str = 'checkpoint') -> dict[str, Tensor]:
    """The state dict in a checkpoint file, on the CPU.

    Args:
        checkpoint (str): A path or a URL (kept in torch's hub cache, fetched by rank 0 first).
        trust (bool): Also unpickle what torch's weights-only loader refuses. Such a file can run any
            code: only for files whose source you trust.
        field (str): What the user calls it in their own config; named in errors.

    Returns:
        dict[str, Tensor]: Of ``state_dict`` or ``model`` where the file has such an entry, else the
        whole; without DDP's ``module.``.

    Raises:
        FileNotFoundError: There is no such file, or it cannot be fetched.
        ValueError: The file is damaged, holds more than weights (names the opt-in), or no weights.
    """
    path = _download(checkpoint, field) if urlparse(checkpoint).scheme in ('http', 'https') else checkpoint
    if not Path(path).is_file():
        raise FileNotFoundError(f'{field}={checkpoint!r}: no such file (relative to {Path.cwd()}).')
    try:
        content = torch.load(path, map_location='cpu', weights_only=not trust)
    except pickle.UnpicklingError as error:
        reason = str(error).split('WeightsUnpickler error: ')[-1].splitlines()[0]
        raise ValueError(
            f'{field}={checkpoint!r} holds more than weights and was not opened ({reason}). '
            'Such a file can run any code: if you trust its source, set trust_checkpoint=True.'
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f'{field}={checkpoint!r} is no readable checkpoint; it may be truncated ({reason}).'
        ) from error

    for entry in ('state_dict', 'model'):
        if isinstance(content, dict) and isinstance(content.get(entry), dict):
            content = content[entry]
            break
    if not isinstance(content, dict) or not any(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f'{field}={checkpoint!r} holds no weights.')
    return {key[7:] if key.startswith('module.') else key: value for key, value in content.items()}


def _download(url: str, field: str) -> str:
    """Fetch ``url`` into torch's hub cache once, rank 0 first, and return the file's path."""
    path = Path(torch.hub.get_dir()) / 'checkpoints' / Path(urlparse(url).path).name
    failure = None
    if get_rank() == 0 and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path))
        except OSError as error:
            failure = error
    barrier()
    if not path.is_file():
        raise FileNotFoundError(
            f'{field}: could not fetch {url} ({failure or "rank 0 failed"}). '
            f'Fetch it elsewhere and put it at {path}, or give its path as {field}.'
        ) from failure
    return str(path)
