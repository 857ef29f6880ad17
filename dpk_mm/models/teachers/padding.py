"""Show a model batches of the sizes it can take, and cut its features back (ours)."""

import copy
from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn


def pad_divisor(preprocessor: Optional[nn.Module]) -> int:
    """What a data preprocessor makes height and width of a batch multiples of, in pixels."""
    names = ('pad_size_divisor', 'size_divisor')  # of mmengine and of mmseg
    return next((value for name in names if (value := getattr(preprocessor, name, None))), 1)


def pad_to_divisor(
    inputs: Tensor, data_samples: Optional[Sequence], divisor: int, value: float = 0.0
) -> tuple[Tensor, Optional[Sequence]]:
    """Pad a batch below and to the right until ``divisor`` divides height and width.

    Args:
        inputs (Tensor): (B, C, H, W).
        data_samples (Sequence, optional): B samples; those with a ``batch_input_shape`` (mmdet's) are
            copied, to say the new one. Nothing else in them changes.
        divisor (int): What the sizes must be multiples of, in pixels.
        value (float): Value of the padding.

    Returns:
        tuple[Tensor, Sequence or None]: (B, C, H', W') and B samples; what came in where it fits already.
    """
    below, right = -inputs.shape[-2] % divisor, -inputs.shape[-1] % divisor
    if not below and not right:
        return inputs, data_samples
    inputs = F.pad(inputs, (0, right, 0, below), value=value)
    if data_samples is not None:
        data_samples = [_reshaped(sample, tuple(inputs.shape[-2:])) for sample in data_samples]
    return inputs, data_samples


def crop_feature(feat: Tensor, padded: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Cut from a map what lies in the padding.

    Args:
        feat (Tensor): (B, C, H', W') of an image of the size ``padded``; others, such as logits, are
            returned as they are.
        padded (tuple[int, int]): Height and width of the image the model saw, in pixels.
        size (tuple[int, int]): Of the image before padding.

    Returns:
        Tensor: (B, C, H, W), ``ceil(H' * size / padded)`` rows and likewise columns: those that touch the
        image, where the map's stride divides the padded size.
    """
    if feat.dim() != 4:
        return feat
    height, width = (-(-side * new // old) for side, new, old in zip(feat.shape[-2:], size, padded))
    return feat[:, :, :height, :width]


def _reshaped(sample: object, shape: tuple[int, int]) -> object:
    if 'batch_input_shape' not in sample:
        return sample
    sample = copy.copy(sample)
    sample.set_metainfo(dict(batch_input_shape=shape))
    return sample
