"""Inheriting (authors' code of DPK and FGD): the student starts with what it can take of the teacher."""

import logging

import torch
from mmengine.logging import print_log
from torch import Tensor, nn


def inheritable(student: nn.Module, teacher: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """The weights outside the backbone that have one name and shape in both.

    Args:
        student (nn.Module): The student.
        teacher (nn.Module): The teacher's model.

    Returns:
        dict[str, tuple[Tensor, Tensor]]: Name -> the student's, the teacher's.
    """
    own = student.state_dict()
    return {
        key: (own[key], value)
        for key, value in teacher.state_dict().items()
        if not key.startswith('backbone.') and key in own and own[key].shape == value.shape
    }


def can_inherit(student: nn.Module, teacher: nn.Module) -> bool:
    """Whether neck and head agree: more than half of the student's weights outside the backbone are shared.

    Weights are counted as tensors of two dimensions and more. Those are the ones that a width changes.
    """
    shared = inheritable(student, teacher)
    own = [key for key, value in student.state_dict().items() if value.ndim > 1 and key[:9] != 'backbone.']
    return sum(key in shared for key in own) > len(own) / 2


@torch.no_grad()
def inherit(student: nn.Module, teacher: nn.Module) -> None:
    """Copy what the student inherits, and log what it does not.

    Args:
        student (nn.Module): The student, changed in place.
        teacher (nn.Module): The teacher's model.
    """
    shared = inheritable(student, teacher)
    for own, teachers in shared.values():
        own.copy_(teachers)
    print_log(f'The student inherits {len(shared)} weights of the teacher', 'current')
    others = [key for key in student.state_dict() if key[:9] != 'backbone.' and key not in shared]
    # These stand between the backbone and the neck, so another backbone makes others of them.
    lateral = [key for key in others if 'lateral' in key]
    rest = [key for key in others if key not in lateral]
    if lateral:
        text = f"{len(lateral)} weights of lateral convolutions fit the student's own backbone and start anew"
        print_log(text, 'current')
    if rest:
        text = (
            f'{len(rest)} weights outside the backbone find no match in the teacher and keep their own '
            f'start: {", ".join(rest[:5])}'
        )
        print_log(text, 'current', logging.WARNING)
