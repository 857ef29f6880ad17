"""What dpk_mm asks of the stack below it: versions, checkpoints that open, gradients that arrive."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from typing import Any, Callable

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import activation_checkpointing
from mmengine.utils import digit_version
from torch import nn
from torch.utils.checkpoint import checkpoint

# [lowest supported, first unsupported); setup.py declares the same ranges.
SUPPORTED = {
    'mmengine': ('0.10.0', '0.11.0'),
    'mmcv': ('2.1.0', '2.2.0'),
    'mmdet': ('3.2.0', '3.4.0'),
    'mmpretrain': ('1.1.0', '1.3.0'),
}


def check_versions() -> None:
    """Check the installed OpenMMLab packages against ``SUPPORTED``.

    Reads package metadata only, so nothing is imported; a package that is not installed is left to
    whatever needs it.

    Raises:
        ImportError: A package is outside its range; names what is installed and what would fit.
    """
    for package, (low, high) in SUPPORTED.items():
        try:
            installed = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        if not digit_version(low) <= digit_version(installed) < digit_version(high):
            raise ImportError(
                f'dpk_mm supports {package}>={low},<{high}, but {package}=={installed} is installed.'
            )


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


def mend_activation_checkpointing() -> None:
    """Let ``activation_checkpointing`` of mmengine's runner change nothing but memory and time.

    mmengine leaves the choice of the form to torch, which still takes the reentrant one. That loses, without
    a word, the gradients of a module whose inputs ask for none (a backbone) or come as a tuple (a neck), and
    those that go through a layer read inside of a checkpointed module. The other form, which torch
    recommends, does not. Neither keeps batch norm from counting a batch twice.
    """
    activation_checkpointing.checkpoint = _checkpoint


def _checkpoint(forward: Callable, *args: Any) -> Any:
    """Run a module, and again in the backward pass instead of keeping what it computed."""
    again = _statistics_kept(forward.__self__)
    return checkpoint(forward, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), again))


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch norm, and its count of batches, as they are."""
    norms = [part for part in module.modules() if getattr(part, 'num_batches_tracked', None) is not None]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)


def _history_statistic(owner: type, name: str) -> Callable:
    """Stands in for the ``getattr`` by which a pickled log history names its own statistics."""
    if owner is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'getattr({owner}, {name!r}) in a checkpoint is not allowed.')
