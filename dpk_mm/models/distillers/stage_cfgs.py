"""What a config says of the stages, checked and completed."""

from typing import Any

from torch import nn

from dpk_mm.models.parts import check_part
from dpk_mm.utils import find_taps, is_detector
from dpk_mm.utils.errors import FieldError, shown
from dpk_mm.utils.sigmoid import sigmoid_loss

_FIELDS = ('at', 'loss', 'neck', 'prior', 'student_at', 'teacher_at')


def complete_stages(stages: dict[str, dict], student: nn.Module, teacher: nn.Module) -> dict[str, dict]:
    """Check names, fields and layers of all stages, and fill in both layers.

    Args:
        stages (dict[str, dict]): Name -> the fields of a stage; see :class:`dpk_mm.Distiller`.
        student (nn.Module): The student.
        teacher (nn.Module): The teacher's model.

    Returns:
        dict[str, dict]: Name -> ``student_at`` and ``teacher_at``, names of layers or tuples of them,
        ``loss``, and where given ``neck`` and ``prior``.

    Raises:
        ValueError: Something that does not fit; names the field, what came and what would fit.
    """
    completed = {}
    for name, stage in stages.items():
        if not isinstance(name, str) or not name.isidentifier() or hasattr(nn.ModuleDict, name):
            raise ValueError(f"stages: the name {name!r} does not fit; take a word such as 'p4'.")
        if 'loss' in name:  # mmengine adds up all that is logged by such a name
            raise ValueError(f"stages: the name {name!r} has 'loss' in it; take a word such as 'p4'.")
        field = f'stages.{name}'
        if not isinstance(stage, dict):
            raise ValueError(f'{field} must be a dict, or None to leave it out, got {shown(stage)}.')
        if unknown := sorted(set(stage) - set(_FIELDS)):
            raise ValueError(f'{field} has no field {unknown}; it takes {", ".join(_FIELDS)}.')
        if 'neck' in stage and stage['neck'] is None:
            stage = {key: value for key, value in stage.items() if key != 'prior'}  # it fed the neck
        stage = {key: value for key, value in stage.items() if value is not None}
        if 'loss' not in stage:
            raise ValueError(f'{field} needs a loss.')
        at = stage.pop('at', None)
        if at is not None and {'student_at', 'teacher_at'} <= set(stage):
            raise ValueError(
                f'{field}.at says nothing beside both student_at and teacher_at. Leave out what you do not '
                'mean, or set it to None where it is inherited.'
            )
        for side, model in (('student_at', student), ('teacher_at', teacher)):
            stage.setdefault(side, at)
            if stage[side] is None:
                raise ValueError(f'{field} needs at, or both student_at and teacher_at.')
            where = f'{field}.{"at" if stage[side] == at else side}'
            stage[side] = find_taps(model, stage[side], where)
        kind = check_part(stage['loss'], 'loss', f'{field}.loss')
        _check_group(stage, field, kind)
        if kind.needs_boxes and stage['loss'].get('loss_weight') != 0 and not is_detector(student):
            text = f': {kind.__name__} needs the boxes of a detector, not a {type(student).__name__}.'
            raise FieldError(f'{field}.loss', text)
        for side, model in (('student', student), ('teacher', teacher)) if kind.takes == 'logits' else ():
            if trained_by := sigmoid_loss(model, stage[f'{side}_at']):
                raise FieldError(
                    f'{field}.loss',
                    f': {kind.__name__} compares softmaxes over the classes, but the {side} trains '
                    f'{stage[f"{side}_at"]} by {trained_by}, a sigmoid for each class. Take '
                    'dpk_mm.FeatureMSELoss, which compares any logits.',
                )
        completed[name] = stage
    return completed


def _check_group(stage: dict[str, Any], field: str, kind: type) -> None:
    """Check that both sides, and the loss, are of a group or of one layer, and that a group has no neck."""
    groups = [side for side in ('student_at', 'teacher_at') if isinstance(stage[side], tuple)]
    if len(groups) == 1:
        raise ValueError(f'{field}: {groups[0]} is a group of layers, the other side one layer.')
    for part in ('neck', 'prior'):
        if groups and part in stage:
            raise ValueError(f'{field}: a group of layers takes no {part}.')
    if (kind.takes == 'groups') == bool(groups):
        return
    if groups:
        raise ValueError(f'{field}: {kind.__name__} compares one layer with one; at is a group of layers.')
    raise ValueError(
        f'{field}: {kind.__name__} compares groups of layers: give at a list of them, or e.g. '
        f"'backbone.layer1.*' for all directly below one; got {stage['student_at']!r}."
    )
