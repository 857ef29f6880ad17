"""Bring one map to the size of another."""

import torch.nn.functional as F
from torch import Tensor


def resize_like(feat: Tensor, other: Tensor) -> Tensor:
    """Resize a map bilinearly to the height and width of another, as stages do with the student's.

    Corners are kept: ``align_corners=True`` (authors' code). So a map made one position large is its first.

    Args:
        feat (Tensor): (B, C, H', W'); or (B, K), which is returned as it is.
        other (Tensor): (B, D, H, W), or (B, K).

    Returns:
        Tensor: (B, C, H, W); ``feat`` itself where the sizes agree.
    """
    size = other.shape[2:]
    if feat.shape[2:] == size:
        return feat
    return F.interpolate(feat, size=size, mode='bilinear', align_corners=True)
