"""What a dry run finds of one model: the layers that are worth a comparison."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor, nn

from dpk_mm.utils.blank import size_errors
from dpk_mm.utils.heads import pixel_ignore_index
from dpk_mm.utils.outputs import run_outputs
from dpk_mm.utils.probe import look_twice, misfit
from dpk_mm.utils.sigmoid import sigmoid_loss
from dpk_mm.utils.token_maps import find_layouts, patches_of, to_map


@dataclass(frozen=True)
class Side:
    """What the dry run found of one model."""

    shapes: dict[str, torch.Size]  # of all layers that a stage could read
    maps: list[str]  # those worth a comparison, the finest first
    logits: Optional[str]
    problems: tuple[str, ...]
    narrow: tuple[str, ...] = ()  # a neck's outputs that are too small to compare


def look(model: nn.Module, side: str, necks: bool, blank: Sequence[int]) -> Side:
    """Find the layers of a model that are worth a comparison: of a neck, or of a backbone and a head.

    Args:
        model (nn.Module): The model.
        side (str): ``'student'`` or ``'teacher'``, for messages.
        necks (bool): Whether the outputs of its neck are meant, where it has one.
        blank (Sequence[int]): Height and width of the blank image, in pixels.

    Returns:
        Side: What was found.

    Raises:
        ValueError: The model does not run on the blank image.
    """
    part = 'neck' if necks and getattr(model, 'neck', None) is not None else 'backbone'
    part = part if hasattr(model, part) else None  # a bare backbone
    headless = getattr(model, 'head', None) is None
    modules, patches = dict(model.named_modules()), patches_of(model)
    with size_errors(side, model, blank):
        # what comes behind the neck of a detector, or the backbone of a headless model, is not needed
        ran, again, sizes = look_twice(
            lambda size, images: run_outputs(model, 3, size, part if headless else None, images), blank
        )
    second = {tap: tensor.shape for runs in again.values() for run in runs for tap, tensor, _ in run}
    outputs, shapes, problems = {}, {}, []
    for name, runs in ran.items():
        for tap, tensor, version in runs[0] if len(runs) == 1 else ():
            if tensor._version != version or tap not in second:
                continue
            layouts, problem = find_layouts(tensor.shape, second[tap], sizes, patches), None
            if len(layouts) == 1:
                tap, tensor = f'{tap}[{layouts[0]}]', to_map(tensor, layouts[0], sizes[0])
            else:
                problem = misfit(tensor.shape, second[tap], sizes, patches)
            if problem is None:
                shapes[tap] = tensor.shape
                if tap != name or any(modules[name].children()) or tensor.ndim == 2:
                    outputs[tap] = tensor
            elif layouts or tensor.ndim in (3, 4) and part in (None, re.split(r'\[', tap)[0]):
                problems.append(f'{side}.{tap} {problem}')
    maps = [
        tap
        for tap, tensor in outputs.items()
        if tensor.ndim == 4 and part in (None, re.split(r'[.\[]', tap)[0])
    ]
    if necks:
        maps = [tap for tap in maps if '.' not in tap]
    narrow = tuple(tap for tap in maps if min(outputs[tap].shape[2:]) == 1)
    maps = [tap for tap in maps if tap not in narrow]
    if necks:
        return Side(shapes, maps, None, tuple(problems), narrow)
    # the last of each size ends a stage; inside of a block of convolutions another size begins too early
    last: dict[tuple, str] = {}
    for tap in sorted(maps, key=lambda tap: tap.count('.') < 2 or 'tokens' in tap):
        last[tuple(outputs[tap].shape[2:])] = tap
    sizes = sorted(last, reverse=True)
    # of several names of one output a short one is the clearest
    starts = [outputs[last[size]].data_ptr() for size in sizes]
    names = [
        min((tap for tap in maps if outputs[tap].data_ptr() == start), key=lambda tap: ('[' in tap, len(tap)))
        for start in starts
    ]
    return Side(shapes, names, _logits(model, shapes, outputs, side), tuple(problems))


def _logits(
    model: nn.Module, shapes: dict[str, torch.Size], outputs: dict[str, Tensor], side: str
) -> Optional[str]:
    """The layer that gives the logits of one softmax over classes, of the image or of each pixel."""
    head = getattr(model, 'head', None)
    if any('MultiTask' in kind.__name__ for kind in type(head).__mro__) or any(
        tap.startswith('head[') for tap in outputs
    ):
        return None  # several predictions
    found = [tap for tap, shape in shapes.items() if len(shape) == 2 and tap.startswith('head')]
    classes = getattr(head, 'num_classes', None)
    if classes is not None:
        found = [tap for tap in found if shapes[tap][1] == classes]
        # others are narrower or wider, hidden or scaled, or one of two that are averaged
        own = outputs['head'].data_ptr() if 'head' in found else None
        same = [tap for tap in found if own in (None, outputs[tap].data_ptr())]
        if same == ['head'] != found and side == 'student':
            return None  # what the head makes of its layer is not what it does in training
        last = next(iter(same), None)
    else:
        last = (found or _pixels(model, shapes) or [None])[-1]  # the logits come last
    return None if last is None or sigmoid_loss(model, last) else last


def _pixels(model: nn.Module, shapes: dict[str, torch.Size]) -> list[str]:
    """The layers that give the logits of each pixel; of a cascade those of its last head."""
    heads = getattr(model, 'decode_head', None)
    start = f'decode_head.{len(heads) - 1}.' if isinstance(heads, nn.ModuleList) else ''
    return [
        tap
        for tap, shape in shapes.items()
        if tap.startswith(start) and pixel_ignore_index(model, tap, shape) is not None
    ]
