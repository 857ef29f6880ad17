"""From maps to tokens and back: embedding, stitching (paper), the hybrid map (paper)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .vit import sincos_positions


def pad_to_patches(feat: Tensor, patch_size: int) -> Tensor:
    """Pad a map with zeros, at the right and at the bottom, to multiples of the patch.

    Args:
        feat (Tensor): (B, C, H, W).
        patch_size (int): Side of a token in positions.

    Returns:
        Tensor: (B, C, H', W').
    """
    height, width = feat.shape[2:]
    return F.pad(feat, (0, -width % patch_size, 0, -height % patch_size))


def embed(stem: nn.Conv2d, feat: Tensor, index: Tensor) -> Tensor:
    """Embed some of a map's tokens, with their positions.

    Args:
        stem (nn.Conv2d): From patches to tokens.
        feat (Tensor): (B, C, H, W).
        index (Tensor): (B, n) int64, which tokens.

    Returns:
        Tensor: (B, n, D_e).
    """
    tokens = stem(feat).flatten(2).transpose(1, 2)
    positions = sincos_positions(tokens.shape[1], tokens.shape[2], tokens.device)
    tokens = tokens + positions.to(tokens.dtype)
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def stitch(tokens: Tensor, order: Tensor) -> Tensor:
    """Stitching (paper): put the tokens of both encoders back in place, and add their positions.

    Args:
        tokens (Tensor): (B, N, D_d).
        order (Tensor): (B, N) int64, the place of each.

    Returns:
        Tensor: (B, N, D_d).
    """
    back = order.argsort(dim=1)[:, :, None].expand_as(tokens)
    positions = sincos_positions(tokens.shape[1], tokens.shape[2], tokens.device)
    return tokens.gather(1, back) + positions.to(tokens.dtype)


def mix(student_feat: Tensor, teacher_feat: Tensor, index: Tensor, patch_size: int) -> Tensor:
    """The hybrid map (paper): the teacher's at some tokens, else the student's.

    Args:
        student_feat (Tensor): (B, C, H, W), H and W multiples of ``patch_size``.
        teacher_feat (Tensor): (B, C, H, W).
        index (Tensor): (B, n) int64, the tokens that the teacher fills.
        patch_size (int): Side of a token in positions.

    Returns:
        Tensor: (B, C, H, W).
    """
    rows, columns = (side // patch_size for side in teacher_feat.shape[2:])
    taken = index.new_zeros(len(index), rows * columns, dtype=torch.bool).scatter(1, index, True)
    taken = taken.view(-1, 1, rows, columns)
    taken = taken.repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)
    return torch.where(taken, teacher_feat, student_feat)


def fold(tokens: Tensor, patch_size: int, height: int, width: int) -> Tensor:
    """Make a map of tokens '(h w)' with channels '(p1 p2 c)', without what was padded.

    Args:
        tokens (Tensor): (B, N, p * p * C).
        patch_size (int): Side p of a token in positions.
        height (int): H of the map.
        width (int): W of the map.

    Returns:
        Tensor: (B, C, H, W).
    """
    rows, columns = -(-height // patch_size), -(-width // patch_size)
    # -> (B, rows, columns, p, p, C) -> (B, C, rows, p, columns, p)
    feat = tokens.unflatten(2, (patch_size, patch_size, -1)).unflatten(1, (rows, columns))
    feat = feat.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
    return feat[:, :, :height, :width]
