"""Token maps: tokens, and maps whose channels stand last, as maps (B, C, H, W)."""

import re
from collections.abc import Collection, Iterator, Sequence

from torch import Tensor, nn

LAYOUT = r'channels_last|tokens/[1-9]\d*(?:\+\d+)?'
_SUFFIX = re.compile(rf'\[({LAYOUT})\]$')
# A class token, one of a teacher, or registers (ours: the most that is looked for).
MOST_EXTRA = 8
# height and width of the one image and of the two, in pixels
Sizes = tuple[tuple[int, int], tuple[int, int]]


def to_map(output: Tensor, layout: str, image: Sequence[int]) -> Tensor:
    """Make a map of what a layer gives in another layout, without a copy.

    Args:
        output (Tensor): (B, H, W, C) of ``'channels_last'``; (B, K + N, C) of ``'tokens/P+K'``.
        layout (str): ``'channels_last'``, or ``'tokens/P+K'``: one token for P x P pixels, row by row, behind
            K others such as a class token. ``'tokens/P'`` has none of these.
        image (Sequence[int]): Height and width of the image that the model saw, in pixels.

    Returns:
        Tensor: (B, C, H, W). H and W are those of the image over P, both rounded down or both up.

    Raises:
        ValueError: The output has another form; the rest of a sentence that begins with the layer.
    """
    axes = 4 if layout == 'channels_last' else 3
    if output.ndim != axes:
        raise ValueError(f'gives {tuple(output.shape)}, where [{layout}] needs {axes} axes')
    if layout == 'channels_last':
        return output.permute(0, 3, 1, 2)
    stride, extra = _numbers(layout)
    grids = list(dict.fromkeys(_grids(image, stride)))
    for rows, columns in grids:
        if output.shape[1] == extra + rows * columns:
            return output[:, extra:].transpose(1, 2).unflatten(2, (rows, columns))
    ahead = f'{extra} + ' if extra else ''
    fits = ' or '.join(f'{ahead}{rows} x {columns}' for rows, columns in grids)
    raise ValueError(
        f'gives {output.shape[1]} tokens for an image of {tuple(image)}, where [{layout}] needs {fits}'
    )


def find_layouts(
    first: Sequence[int], second: Sequence[int], sizes: Sizes, patches: Collection[int] = ()
) -> list[str]:
    """Find in which layouts a layer may give maps, by what it gave for one image and for two of another size.

    Tokens fit where one grid of patches and one number of extra tokens explain both shapes. Of several, those
    of the model's own ``patches`` count, then those whose patch divides most sides of the images.

    Args:
        first (Sequence[int]): The shape for one image.
        second (Sequence[int]): The shape for two.
        sizes (tuple): Height and width of the one image and of the two, in pixels.
        patches (Collection[int]): See :func:`patches_of`.

    Returns:
        list[str]: As :func:`to_map` takes them; several where the layer is ambiguous, none where it gives
        maps (B, C, H, W), logits, or anything else.
    """
    if (len(first), first[:1], second[:1], first[-1:]) != (len(second), (1,), (2,), second[-1:]):
        return []
    if len(first) == 4:
        # the third and fourth number of a map follow the size of the image, and not the second
        moved = first[1] != second[1] and first[2] != second[2]
        last = moved or (not has_form(first[2:], sizes[0]) and has_form(first[1:3], sizes[0]))
        return ['channels_last'] if last else []
    found: dict[str, tuple] = {}
    for stride in range(1, min(sizes[0]) // 2 + 1) if len(first) == 3 else ():
        for one, two in zip(_grids(sizes[0], stride), _grids(sizes[1], stride)):
            extra = first[1] - one[0] * one[1]
            if 0 <= extra <= MOST_EXTRA and second[1] - two[0] * two[1] == extra:
                divided = sum(side % stride == 0 for size in sizes for side in size)
                # of a model that takes one size alone, anything may look like a grid
                if divided or sizes[0] != sizes[1]:
                    found[f'tokens/{stride}' + f'+{extra}' * (extra > 0)] = (stride in patches, divided)
    return [layout for layout, rank in found.items() if rank == max(found.values())]


def patches_of(model: nn.Module) -> set[int]:
    """Sides of the patches, in pixels, that the convolutions of a model may cut an image into."""
    convs = (layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    return {conv.stride[0] for conv in convs if conv.kernel_size == conv.stride}


def patch_stride(tap: str) -> int:
    """The patch's side, in pixels, of a layer that is read as ``[tokens/P+K]``; 1 of others."""
    layout = _SUFFIX.search(tap)
    return _numbers(layout[1])[0] if layout and layout[1] != 'channels_last' else 1


def without_layout(tap: str) -> str:
    """The name of a layer without what makes a map of its output."""
    return _SUFFIX.sub('', tap)


def _numbers(layout: str) -> tuple[int, int]:
    """The patch's side, in pixels, and the number of extra tokens."""
    stride, _, extra = layout.removeprefix('tokens/').partition('+')
    return int(stride), int(extra or 0)


def _grids(image: Sequence[int], stride: int) -> Iterator[tuple[int, int]]:
    """Rows and columns of patches: models leave out those that are not whole, or pad the image."""
    yield image[0] // stride, image[1] // stride
    yield -(-image[0] // stride), -(-image[1] // stride)


def has_form(sides: Sequence[int], size: tuple[int, int]) -> bool:
    """Whether a map's height and width are to each other as those of the image, but for rounding."""
    return abs(sides[0] * size[1] / size[0] - sides[1]) <= 1
