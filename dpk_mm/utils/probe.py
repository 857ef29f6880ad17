"""Run a model once, to learn the shapes of what its layers give."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Optional, TypeVar

import torch
from torch import Tensor, nn

from .blank import blank_shape, run_blank
from .taps import TapError, record
from .token_maps import Sizes, find_layouts, has_form, patches_of

T = TypeVar('T')
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
    height, width = (side // 32 * 32 or side or 1 for side in (size[0] // 2, size[1] * 3 // 4))
    other = (height, width)
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
    if first[1] != second[1]:
        return f'has a width that follows the size of the image, {given}'
    return None


def is_of_widths(error: Exception) -> bool:
    """Whether torch says that a layer gets another number of channels than it was made for."""
    return isinstance(error, RuntimeError) and bool(_WIDTHS.search(str(error)))
