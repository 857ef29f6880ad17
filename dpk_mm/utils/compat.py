"""What dpk_mm asks of torch and mmengine: checkpoints that open, and configs that are found."""

import pickle
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Callable, Optional

import numpy as np
import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint
from mmengine.utils import digit_version


def allow_upstream_checkpoints() -> None:
    """Let torch's weights-only loader open the checkpoints that mmengine's runner writes.

    Since torch 2.6 ``torch.load`` refuses every class it has not been told of, and mmengine's ``resume``
    and ``load_from`` then fail on the log history (``HistoryBuffer``, numpy arrays) in upstream's and
    our own checkpoints. What is added here holds plain numbers and runs no code when unpickled;
    everything else stays refused. Older torch neither needs this nor has the form of it used here.

    Every ``with torch.serialization.safe_globals(...)`` takes away on exit what it shares with this list, so
    this is called again before each load.
    """
    if digit_version(torch.__version__) < digit_version('2.6.0'):
        return
    # numpy 1.x has no _core; a file names these functions by the module of the numpy that wrote it.
    functions = (getattr(np, '_core', None) or np.core).multiarray
    allowed = [HistoryBuffer, np.ndarray, np.dtype, (_history_statistic, 'builtins.getattr')]
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        allowed.append((functions.scalar, f'{module}.scalar'))
        allowed.append((functions._reconstruct, f'{module}._reconstruct'))
    allowed += {type(np.dtype(code)) for code in '?bBhHiIlLqQefd'}
    torch.serialization.add_safe_globals(allowed)


def refuse_unsafe_checkpoints() -> None:
    """Let ``load_from`` and ``resume`` refuse on the maintained forks what they refuse with upstream.

    Where torch's weights-only loader refuses a file, the forks' mmengine unpickles it all the same, with a
    warning, and the file can run any code. It also allows a plain ``getattr``. The one function that does so
    is replaced by ``torch.load``. ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` opens a file that you trust.
    """
    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = _load_as_torch_does


def find_fork_of_mmseg() -> None:
    """Let ``mmseg::...`` find the fork's configs: mmengine looks for a package of upstream's name only."""
    try:
        version('onedl-mmsegmentation')
    except PackageNotFoundError:
        return
    MODULE2PACKAGE['mmseg'] = 'mmseg'


def _load_as_torch_does(file: Any, map_location: Any = None, weights_only: Optional[bool] = None) -> Any:
    allow_upstream_checkpoints()
    return torch.load(file, map_location=map_location, weights_only=weights_only)


def _history_statistic(owner: type, name: str) -> Callable:
    """Stands in for the ``getattr`` by which a pickled log history names its own statistics."""
    if owner is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'getattr({owner}, {name!r}) in a checkpoint is not allowed.')
