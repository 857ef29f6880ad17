"""Run a model once, to learn the shapes of what its layers give."""

import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional, TypeVar

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from .randomness import preserve_random_state
from .taps import TapError, record
from .token_maps import Sizes, find_layouts, has_form, patches_of

T = TypeVar('T')
# tried where a model does not run, so that no other size is advised where none helps
_OTHER_SIZES = ((224, 224), (256, 256), (32, 32), (64, 64), (384, 384), (512, 512))
_WIDTHS = re.compile(r'expected input.* to have \d+ channels|mat1 and mat2 shapes cannot be multiplied')


def probe(
    model: nn.Module, taps: Sequence[str], input_shape: Optional[tuple[int, int]] = None
) -> dict[str, torch.Size]:
    """Learn the shapes of features from one blank image, and from two of another size what their axes mean.

    Args:
        model (nn.Module): The model to run.
        taps (Sequence[str]): Checked names of layers, see :func:`dpk_mm.utils.check_tap`.
        input_shape (tuple[int, int], optional): See :func:`blank_shape`.

    Returns:
        dict[str, torch.Size]: tap -> (1, C, H', W').

    Raises:
        TapError: A layer cannot be read, or gives something else than maps or logits, see :func:`misfit`.
    """

    def look(size: tuple[int, int], images: int) -> dict[str, torch.Size]:
        features: dict[str, Tensor] = {}
        try:
            with record(model, taps) as features:
                run_blank(model, size, images)
        except TapError:
            raise
        except Exception as error:  # a blank image is no image for every head: the taps are enough
            if not set(taps) <= set(features) or is_of_widths(error):
                raise
        return {tap: feat.shape for tap, feat in features.items()}

    first, second, sizes = look_twice(look, blank_shape(model, input_shape))
    patches = patches_of(model)
    for tap in taps:
        if problem := misfit(first[tap], second[tap], sizes, patches):
            raise TapError(tap, f'{tap!r} {problem}.')
    return first


def look_twice(look: Callable[[tuple[int, int], int], T], size: Sequence[int]) -> tuple[T, T, Sizes]:
    """Look at a model that is shown one blank image, then two that are smaller and of another form.

    Args:
        look (Callable): Called with height and width, and the number of images.
        size (Sequence[int]): Height and width of the first image.

    Returns:
        tuple: What it gave for the one image and for the two, and both sizes. Of a model that takes one size
        alone, the second is the first.
    """
    size = (size[0], size[1])
    first = look(size, 1)
    # most models take multiples of 32
    halved = [side // 32 * 32 or side for side in (size[0] // 2, size[1] * 3 // 4)]
    other = (max(1, halved[0]), max(1, halved[1]))
    try:
        return first, look(other, 2), (size, other)
    except Exception:  # whatever a model raises that takes one size alone
        return first, look(size, 2), (size, size)


def misfit(
    first: Sequence[int], second: Sequence[int], sizes: Sizes, patches: Collection[int] = ()
) -> Optional[str]:
    """What keeps a layer from a comparison, by what it gave for one image and for two of another size.

    Maps are (B, C, H, W) and logits (B, K), with C and K whatever the image's size. Tokens, and maps whose
    channels stand last, become maps by what the layer's name ends in; see :func:`find_layouts`.

    Args:
        first (Sequence[int]): The shape for one image.
        second (Sequence[int]): The shape for two.
        sizes (tuple): Height and width of the one image and of the two, in pixels.
        patches (Collection[int]): See :func:`patches_of`.

    Returns:
        str or None: The rest of a sentence that begins with the layer.
    """
    given = f'{tuple(first)} for one image of {sizes[0]}, {tuple(second)} for two of {sizes[1]}'
    if (len(first), first[:1], second[:1]) != (len(second), (1,), (2,)):
        return f'does not give one row an image, but {given}'
    if layouts := find_layouts(first, second, sizes, patches):
        kind = 'its channels last' if len(first) == 4 else 'tokens'
        choice = ' or '.join(f'[{layout}]' for layout in layouts)
        return f'gives {kind}, {given}; its name with {choice} behind it stands for a map (B, C, H, W)'
    if len(first) not in (2, 4):
        return f'gives neither maps (B, C, H, W) nor logits (B, K) nor tokens of one grid, but {given}'
    if len(first) == 4 and not has_form(second[2:], sizes[1]) and has_form(second[:1:-1], sizes[1]):
        return f'gives its width before its height, {given}; maps (B, C, H, W) are needed'
    if 0 in first or 0 in second:
        return f'gives nothing, {given}'
    if len(first) in (2, 4) and first[1] != second[1]:
        return f'has a width that follows the size of the image, {given}'
    return None


def blank_shape(model: nn.Module, input_shape: Optional[tuple[int, int]] = None) -> tuple[int, int]:
    """The size of the blank image: ``input_shape``, or (224, 224) for classifiers, (256, 256) for others."""
    if input_shape:
        return tuple(input_shape)
    return (256, 256) if is_detector(model) or is_segmentor(model) else (224, 224)


def run_blank(model: nn.Module, input_shape: Optional[tuple[int, int]] = None, images: int = 1) -> None:
    """Show a model blank images, in eval mode and without gradient, leaving no trace.

    Args:
        model (nn.Module): A detector of mmdet's, or a model that predicts from images alone.
        input_shape (tuple[int, int], optional): Height and width of the images; see :func:`blank_shape`.
        images (int): How many.
    """
    height, width = blank_shape(model, input_shape)
    samples = [_blank_detection(height, width) for _ in range(images)] if is_detector(model) else None
    like = next(model.parameters(), torch.zeros(()))  # one that is quantised may have none
    with eval_without_side_effects(model):
        predict(model, like.new_zeros(images, image_channels(model), height, width), samples)


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


def is_of_widths(error: Exception) -> bool:
    """Whether torch says that a layer gets another number of channels than it was made for."""
    return isinstance(error, RuntimeError) and bool(_WIDTHS.search(str(error)))


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
