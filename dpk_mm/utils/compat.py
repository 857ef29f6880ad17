"""What dpk_mm asks of torch: checkpoints that open."""

import pickle
from typing import Callable

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version


def allow_upstream_checkpoints() -> None:
    """Let torch's weights-only loader open the checkpoints that mmengine's runner writes.

    Since torch 2.6 ``torch.load`` refuses every class it has not been told of, and mmengine's ``resume``
    and ``load_from`` then fail on the log history (``HistoryBuffer``, numpy arrays) in upstream's and
    our own checkpoints. What is added here holds plain numbers and runs no code when unpickled;
    everything else stays refused. Older torch neither needs this nor has the form of it used here.
    """
    if digit_version(torch.__version__) < digit_version('2.6.0'):
        return
    # numpy 1.x has no _core; a file names these functions by the module of the numpy that wrote it.
    functions = getattr(np, '_core', None) or np.core
    functions = functions.multiarray
    allowed = [HistoryBuffer, np.ndarray, np.dtype, (_history_statistic, 'builtins.getattr')]
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        allowed.append((functions.scalar, f'{module}.scalar'))
        allowed.append((functions._reconstruct, f'{module}._reconstruct'))
    allowed += {type(np.dtype(code)) for code in '?bBhHiIlLqQefd'}
    torch.serialization.add_safe_globals(allowed)


def _history_statistic(owner: type, name: str) -> Callable:
    """Stands in for the ``getattr`` by which a pickled log history names its own statistics."""
    if owner is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'getattr({owner}, {name!r}) in a checkpoint is not allowed.')
