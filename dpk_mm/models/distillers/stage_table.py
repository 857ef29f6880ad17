"""What a distiller learns from, as a table for the log."""

from typing import Any

import torch

from dpk_mm.methods.pair import usual_image
from dpk_mm.utils import blank_shape
from dpk_mm.utils.text import count, markdown

from .base_distiller import BaseDistiller


def stage_table(distiller: BaseDistiller, student: dict, teacher: dict) -> str:
    """A table of the stages: layers, shapes, necks, losses, weights.

    Args:
        distiller (BaseDistiller): A :class:`dpk_mm.Distiller`, whose stages they are.
        student (dict[str, torch.Size]): Layer of the student -> shape in the dry run.
        teacher (dict[str, torch.Size]): Layer of the teacher -> shape in the dry run.

    Returns:
        str: Lines of Markdown below a sentence that says whether the student inherits.
    """
    rows = []
    for name, stage in distiller.distiller.items():
        own, other = distiller.layers[name]
        neck = getattr(stage, 'neck', None)
        tokens = parameters = '-'
        if neck is not None:
            parameters = count(sum(p.numel() for p in neck.parameters()))
            patch = getattr(neck, 'patch_size', 1)
            tokens = ' x '.join(str(-(-side // patch)) for side in teacher[other][2:])
        rows.append(
            [
                name,
                _layer(own, student),
                _layer(other, teacher),
                tokens,
                parameters,
                type(stage.loss).__name__,
                'auto' if stage.loss.auto is not None else f'{stage.loss.loss_weight:g}',
            ]
        )
    head = ['stage', 'student', 'teacher', 'tokens', 'neck', 'loss', 'weight']
    start = 'inherits neck and head of the teacher' if distiller.init_student else 'starts as it does alone'
    text = f'The student {start}.'
    if not rows:
        return f'{text} Nothing is distilled.'
    shown, usual = blank_shape(distiller.student, distiller.input_shape), usual_image(distiller.student)
    text += f' Stages, with shapes of a dry run on {shown[0]} x {shown[1]}'
    if distiller.input_shape is None and distiller.method is not None and usual != shown:
        text += f' and necks for images of {usual[0]} x {usual[1]}, as model.input_shape gives no other'
    return f'{text}:\n{markdown(head, rows)}'


def _layer(at: Any, shapes: dict[str, torch.Size]) -> str:
    """A layer and its shape; of a group the number of layers."""
    if not isinstance(at, str):
        return f'{at[0]}, ... ({len(at)} layers)'
    return f'{at}: {" x ".join(str(side) for side in shapes[at][1:])}'
