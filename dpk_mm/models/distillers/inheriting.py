"""Inheriting (authors' code of DPK and FGD): the student starts with what it can take of the teacher."""

import logging

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from dpk_mm.utils.norms import norm_statistics
from dpk_mm.utils.runner import type_name


def inheritable(student: nn.Module, teacher: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """The weights outside of backbones that have one name and shape in both.

    Statistics of losses, as GHM's, are no weights: of the buffers those of norms alone count.

    Args:
        student (nn.Module): The student.
        teacher (nn.Module): The teacher's model.

    Returns:
        dict[str, tuple[Tensor, Tensor]]: Name -> the student's, the teacher's.
    """
    own = _weights(student)
    return {
        key: (own[key], value)
        for key, value in _weights(teacher).items()
        if key in own and own[key].shape == value.shape
    }


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Name -> weight, without those of backbones: DetectoRS has more of them in its neck."""
    backbone = type(getattr(model, 'backbone', None))
    within = tuple(f'{name}.' for name, part in model.named_modules() if name and isinstance(part, backbone))
    kept = set(norm_statistics(model))
    kept |= {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return {
        key: value
        for key, value in model.state_dict().items()
        if key in kept and not key.startswith(('backbone.', *within))
    }


def can_inherit(student: nn.Module, teacher: nn.Module) -> bool:
    """Whether neck and head agree: more than half of the student's weights outside the backbone are shared.

    Weights are counted as tensors of two dimensions and more. Those are the ones that a width changes. A
    student that loads weights of its own there, by the ``init_cfg`` of the whole or of a part, keeps them.
    """
    for name, part in student.named_modules():
        given = getattr(part, 'init_cfg', None) or []
        parts = [one for one in ([given] if isinstance(given, dict) else given) if isinstance(one, dict)]
        loads = {'Pretrained', 'PretrainedInit'} & set(map(type_name, parts))
        if loads and name.partition('.')[0] != 'backbone':
            return False
    shared = inheritable(student, teacher)
    own = [key for key, value in _weights(student).items() if value.ndim > 1]
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
    others = [key for key in _weights(student) if key not in shared]
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
