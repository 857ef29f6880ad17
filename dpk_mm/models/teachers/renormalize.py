"""Show a model a batch that another model's preprocessor normalised."""

import logging
from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from dpk_mm.utils.taps import is_compiling

# Pixels of a batch reach further, unless it is black.
_DARKEST = 20.0
# names of mmengine, mmpretrain and mmseg
_CONVERSIONS = ('_channel_conversion', 'to_rgb', 'channel_conversion')


def unwrap_preprocessor(preprocessor: Optional[nn.Module]) -> Optional[nn.Module]:
    """The data preprocessor that normalises, inside of one such as mmdet's for several branches.

    Args:
        preprocessor (nn.Module, optional): Of a model.

    Returns:
        nn.Module or None: The innermost one.
    """
    while isinstance(getattr(preprocessor, 'data_preprocessor', None), nn.Module):
        preprocessor = preprocessor.data_preprocessor
    return preprocessor


def pad_value(preprocessor: Optional[nn.Module]) -> float:
    """What a data preprocessor pads normalised images with: ``pad_value``, or mmseg's ``pad_val``."""
    return float(getattr(preprocessor, 'pad_value', getattr(preprocessor, 'pad_val', 0)))


class Renormalize(nn.Module):
    """From one data preprocessor's mean, std and channel order to another's.

    The padding that mmdet and mmseg add after normalisation is set to what the target's preprocessor pads
    with.

    Args:
        source (nn.Module): The data preprocessor that made the batch.
        target (nn.Module): The data preprocessor of the model that will see it.
    """

    def __init__(self, source: nn.Module, target: nn.Module) -> None:
        super().__init__()
        source, target = unwrap_preprocessor(source), unwrap_preprocessor(target)
        source_mean, source_std = _statistics(source)
        target_mean, target_std = _statistics(target)
        self.swap = _converts_channels(source) != _converts_channels(target)
        if self.swap:
            source_mean, source_std = source_mean.flip(0), source_std.flip(0)
        self.register_buffer('scale', source_std / target_std, persistent=False)
        self.register_buffer('shift', (source_mean - target_mean) / target_std, persistent=False)
        self.pad_value = pad_value(target)
        # where nothing is said to be normalised, and the target's mean is one of pixels
        says_nothing = not source_mean.any() and bool((source_std == 1).all())
        self._expects_pixels = says_nothing and target_mean.max().item() > _DARKEST
        same = torch.equal(self.scale, torch.ones_like(self.scale))
        same_pad = self.pad_value == pad_value(source)
        self.needed = self.swap or not same or bool(self.shift.any()) or not same_pad

    def forward(self, inputs: Tensor, data_samples: Optional[Sequence] = None) -> Tensor:
        """Renormalise.

        Args:
            inputs (Tensor): (B, C, H, W) float, as ``source`` made it.
            data_samples (Sequence, optional): B samples; those with a ``batch_input_shape`` (mmdet's) or
                a ``padding_size`` (mmseg's) say by ``img_shape`` where their padding begins.

        Returns:
            Tensor: (B, C, H, W), a new tensor (the batch itself where both preprocessors agree).
        """
        if not self.needed:
            return inputs
        if self._expects_pixels and not is_compiling():
            self._expects_pixels = False  # the first batch says enough
            if (largest := inputs.abs().max().item()) < _DARKEST:
                print_log(
                    "The student's data_preprocessor does not normalise, but its images have values up to "
                    f"{largest:.3g}: they seem to be normalised elsewhere, and the teacher's takes them for "
                    "pixels. Let the student's say mean and std, or give teacher.data_preprocessor.",
                    'current',
                    logging.WARNING,
                )
        outputs = (inputs.flip(1) if self.swap else inputs) * self.scale + self.shift
        for image, sample in zip(outputs, data_samples or ()):
            if 'batch_input_shape' in sample or 'padding_size' in sample:
                height, width = sample.img_shape[:2]
                image[:, height:] = self.pad_value
                image[:, :, width:] = self.pad_value
        return outputs


def _statistics(preprocessor: nn.Module) -> tuple:
    """Mean and std, (3, 1, 1) or (1, 1, 1) float32 each; 0 and 1 where nothing is normalised."""
    if getattr(preprocessor, '_enable_normalize', False):
        return preprocessor.mean.float(), preprocessor.std.float()
    return torch.zeros(1, 1, 1), torch.ones(1, 1, 1)


def _converts_channels(preprocessor: nn.Module) -> bool:
    """Whether BGR images become RGB (or the reverse)."""
    return any(getattr(preprocessor, name, False) for name in _CONVERSIONS)
