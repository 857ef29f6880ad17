"""Run a model once, to learn the shapes of what its layers give."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from .randomness import preserve_random_state
from .taps import TapError, record


def probe(
    model: nn.Module, taps: Sequence[str], input_shape: Optional[tuple[int, int]] = None
) -> dict[str, torch.Size]:
    """Learn the shapes of features from one blank image.

    Args:
        model (nn.Module): The model to run.
        taps (Sequence[str]): Checked names of layers, see :func:`dpk_mm.utils.check_tap`.
        input_shape (tuple[int, int], optional): See :func:`blank_shape`.

    Returns:
        dict[str, torch.Size]: tap -> (1, C, H', W').
    """
    features: dict[str, Tensor] = {}
    try:
        with record(model, taps) as features:
            run_blank(model, input_shape)
    except TapError:
        raise
    except Exception:  # a blank image is no image for every head: what comes behind the taps is not needed
        if not set(taps) <= set(features):
            raise
    return {tap: feat.shape for tap, feat in features.items()}


def blank_shape(model: nn.Module, input_shape: Optional[tuple[int, int]] = None) -> tuple[int, int]:
    """The size of the blank image: ``input_shape``, or (256, 256) for detectors, (224, 224) for others."""
    return tuple(input_shape) if input_shape else (256, 256) if is_detector(model) else (224, 224)


def run_blank(model: nn.Module, input_shape: Optional[tuple[int, int]] = None) -> None:
    """Show a model one blank image, in eval mode and without gradient, leaving no trace.

    Args:
        model (nn.Module): A detector of mmdet's, or a model that predicts from images alone.
        input_shape (tuple[int, int], optional): Height and width of the image; see :func:`blank_shape`.
    """
    height, width = blank_shape(model, input_shape)
    samples = [_blank_detection(height, width)] if is_detector(model) else None
    like = next(model.parameters())
    with eval_without_side_effects(model):
        predict(model, like.new_zeros(1, 3, height, width), samples)


@contextmanager
def size_errors(side: str, model: nn.Module, input_shape: Optional[tuple[int, int]]) -> Iterator[None]:
    """Say of a model that does not run on the blank image how to give it another.

    Args:
        side (str): ``'student'`` or ``'teacher'``, for the message.
        model (nn.Module): The model that runs inside of the ``with`` block.
        input_shape (tuple[int, int], optional): See :func:`blank_shape`.

    Raises:
        ValueError: In place of torch's error.
    """
    try:
        yield
    except RuntimeError as error:  # torch's way to say that a size does not fit
        shape = blank_shape(model, input_shape)
        raise ValueError(
            f'{side}: {type(model).__name__} does not run on a blank image of {shape}; give '
            f'input_shape=(H, W) one that it takes. torch says: {error}'
        ) from error


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
    # 'tensor' would call mmdet's heads past their hooks
    return model(inputs, data_samples, mode='predict')


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
    base = sys.modules.get('mmdet.models.detectors.base')
    return base is not None and isinstance(model, base.BaseDetector)


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
        )
    )
