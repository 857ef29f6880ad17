"""Run a model on blank images, leaving no trace."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from .randomness import preserve_random_state
from .taps import TapError

# tried where a model does not run, so that no other size is advised where none helps
_OTHER_SIZES = ((224, 224), (256, 256), (32, 32), (64, 64), (384, 384), (512, 512))


def blank_shape(model: nn.Module, input_shape: Optional[tuple[int, int]] = None) -> tuple[int, int]:
    """The size of the blank image: ``input_shape``, or (224, 224) for classifiers, (256, 256) for others."""
    if input_shape:
        return tuple(input_shape)
    return (256, 256) if is_detector(model) or is_segmentor(model) else (224, 224)


def padded_size(size: Sequence[int], divisor: int) -> tuple[int, ...]:
    """Height and width, in pixels, that images of a size are padded to: multiples of ``divisor``."""
    return tuple(-(-side // divisor) * divisor for side in size)


def run_blank(model: nn.Module, input_shape: Optional[tuple[int, int]] = None, images: int = 1) -> None:
    """Show a model blank images, in eval mode and without gradient, leaving no trace.

    Args:
        model (nn.Module): A detector of mmdet's, or a model that predicts from images alone.
        input_shape (tuple[int, int], optional): Height and width of the images; see :func:`blank_shape`.
        images (int): How many.
    """
    with eval_without_side_effects(model):
        predict(model, *blank_inputs(model, input_shape, images))


def blank_inputs(
    model: nn.Module, input_shape: Optional[tuple[int, int]] = None, images: int = 1
) -> tuple[Tensor, Optional[list]]:
    """Blank images (B, C, H, W) for :func:`predict`, and their samples where the model is a detector."""
    height, width = blank_shape(model, input_shape)
    samples = [_blank_detection(height, width) for _ in range(images)] if is_detector(model) else None
    like = next(model.parameters(), torch.zeros(()))  # one that is quantised may have none
    return like.new_zeros(images, image_channels(model), height, width), samples


def image_channels(model: nn.Module) -> int:
    """How many channels a model's images have: as its preprocessor's mean, else as its first convolution."""
    mean = getattr(getattr(model, 'data_preprocessor', None), 'mean', None)
    if isinstance(mean, Tensor) and mean.numel() > 1:
        return mean.numel()
    for layer in model.modules():
        if type(layer).__name__ == 'Focus':  # YOLOX's, which makes one pixel of four
            return next(part.in_channels for part in layer.modules() if isinstance(part, nn.Conv2d)) // 4
        if isinstance(layer, nn.Conv2d):
            return layer.in_channels
    return 3


@contextmanager
def size_errors(side: str, model: nn.Module, input_shape: Optional[tuple[int, int]]) -> Iterator[None]:
    """Say of a model that does not run on the blank image what it says, and whether another size would do.

    Args:
        side (str): ``'student'`` or ``'teacher'``, for the message.
        model (nn.Module): The model that runs inside of the ``with`` block.
        input_shape (tuple[int, int], optional): See :func:`blank_shape`.

    Raises:
        ValueError: In place of whatever the model raised, but for a :class:`TapError`.
    """
    try:
        yield
    except TapError:
        raise
    except Exception as error:  # each model has its own way to say that something does not fit
        shape = blank_shape(model, input_shape)
        others = () if _runs(model, shape) else _OTHER_SIZES  # where it runs, the size is not the reason
        fits = next((size for size in others if size != shape and _runs(model, size)), None)
        advice = f' It runs on {fits}: give input_shape=(H, W) a size that it takes.' if fits else ''
        said = ': '.join(filter(None, [type(error).__name__, ' '.join(str(error).split()).rstrip('.')]))
        raise ValueError(
            f'{side}: {type(model).__name__} does not run on a blank image of {shape} with '
            f'{image_channels(model)} channels. It says {said}.{advice}'
        ) from error


def _runs(model: nn.Module, size: tuple[int, int]) -> bool:
    """Whether a model runs on a blank image of a size."""
    try:
        run_blank(model, size)
    except Exception:
        return False
    return True


def predict(model: nn.Module, inputs: Tensor, data_samples: Optional[Sequence] = None) -> Any:
    """Run a model so that all of its layers run as modules.

    Args:
        model (nn.Module): A model of mmengine's, or any that takes images alone.
        inputs (Tensor): (B, 3, H, W).
        data_samples (Sequence, optional): B samples.

    Returns:
        Any: What the model gives.
    """
    if not isinstance(model, BaseModel):
        return model(inputs)
    with _whole_images(model):
        # 'tensor' would call mmdet's heads past their hooks
        return model(inputs, data_samples, mode='predict')


@contextmanager
def _whole_images(model: nn.Module) -> Iterator[None]:
    """Let a segmentor see whole images, where in its tests a window slides over them."""
    test_cfg = getattr(model, 'test_cfg', None) if is_segmentor(model) else None
    mode = (test_cfg or {}).get('mode')
    if mode is not None:
        test_cfg['mode'] = 'whole'
    try:
        yield
    finally:
        if mode is not None:
            test_cfg['mode'] = mode


@contextmanager
def eval_without_side_effects(model: nn.Module) -> Iterator[None]:
    """Run ``model`` in eval mode, without gradient, and keep the mode of every part and the random state."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with preserve_random_state(), torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def is_detector(model: nn.Module) -> bool:
    """Whether ``model`` is one of mmdet's, without importing mmdet for those that are not."""
    return _is_a(model, 'mmdet.models.detectors.base', 'BaseDetector')


def is_segmentor(model: nn.Module) -> bool:
    """Whether ``model`` is one of mmseg's, without importing mmseg for those that are not."""
    return _is_a(model, 'mmseg.models.segmentors.base', 'BaseSegmentor')


def _is_a(model: nn.Module, module: str, base: str) -> bool:
    imported = sys.modules.get(module)
    return imported is not None and isinstance(model, getattr(imported, base))


def _blank_detection(height: int, width: int) -> Any:
    """A data sample as mmdet's preprocessor makes it, of an image without objects."""
    from mmdet.structures import DetDataSample

    shape = (height, width)
    return DetDataSample(
        metainfo=dict(
            img_shape=shape,
            ori_shape=shape,
            pad_shape=shape,
            batch_input_shape=shape,
            scale_factor=(1.0, 1.0),
            text='object',  # of detectors that read texts
            custom_entities=False,
        )
    )
