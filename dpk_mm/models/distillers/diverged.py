"""Ends a training whose loss is no number any more."""

import numpy as np
from mmengine.logging import MessageHub

from dpk_mm.utils.errors import DivergedError

# So many steps without a finite loss end a training. Mixed precision has single ones.
PATIENCE = 10


def check_diverged() -> None:
    """Look at the last losses in the log, which needs no value from the device (ours).

    Raises:
        DivergedError: The sum of all losses was not finite for :data:`PATIENCE` steps.
    """
    total = last_logged('loss', PATIENCE)
    if len(total) == PATIENCE and not np.isfinite(total).any():
        raise DivergedError(
            f'The training has diverged: its loss was not finite in the last {PATIENCE} steps. '
            'Go on from an earlier checkpoint with a lower learning rate, clipped gradients, or a lower '
            'loss_weight.'
        )


def last_logged(name: str, steps: int) -> np.ndarray:
    """The last values of a loss in the log of the training.

    Args:
        name (str): Such as ``'loss'``, the sum of all.
        steps (int): How many.

    Returns:
        np.ndarray: float64 (N,), N at most ``steps``; (0,) where nothing was logged.
    """
    known = MessageHub.get_current_instance().log_scalars.get(f'train/{name}')
    return np.asarray(known.data[0][-steps:] if known is not None else [], dtype=np.float64)
