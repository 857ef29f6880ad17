"""Statistics that the scripts share."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from dpk_mm.utils import hsics, positions_as_samples, resize_like

# The unbiased estimator of HSIC needs so many samples; with fewer images positions are taken.
LEAST_SAMPLES = 4


def pair_hsics(x: Tensor, y: Tensor, by_positions: bool) -> Tensor:
    """The HSICs of what two layers give for one batch, the map of ``x`` resized as a distiller's stage does.

    Args:
        x (Tensor): (B, C, H', W') or (B, K).
        y (Tensor): (B, C, H, W) or (B, K).
        by_positions (bool): Samples are the positions of the maps, else the images.

    Returns:
        Tensor: (3,) float64 on the CPU; 0, which makes their CKA undefined, where there are too few samples:
        vectors have no positions, and the smallest maps of a batch may have too few.
    """
    if x.ndim == y.ndim == 4:
        x = resize_like(x, y)
        if by_positions:
            x, y = positions_as_samples(x), positions_as_samples(y)
    if len(x) < LEAST_SAMPLES:
        return torch.zeros(3, dtype=torch.float64)
    return hsics(x, y).cpu()


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Compute Spearman's rank correlation of the pairs whose two values are finite.

    Args:
        x (Sequence[float]): Values.
        y (Sequence[float]): As many.

    Returns:
        float: From -1 to 1; NaN for fewer than three such pairs, and where one side is all the same.
    """
    pairs = np.array([x, y], dtype=float)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < 3 or not np.ptp(pairs, axis=1).all():
        return float('nan')
    return float(spearmanr(*pairs)[0])
