"""The distiller of every method that is a loss on some layers."""

import logging
import re
from collections.abc import Sequence
from os.path import commonprefix
from typing import Any, Optional, Union

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from dpk_mm.models.priors.measured_prior import compute_ratios
from dpk_mm.registry import MODELS
from dpk_mm.utils import TapError, blank_shape, find_taps, preserve_random_state, probe

from .base_distiller import BaseDistiller
from .base_stage import loss_class
from .distill_stage import DistillStage
from .group_stage import GroupStage

_STAGE_KEYS = {'at', 'student_at', 'teacher_at', 'name', 'neck', 'prior', 'loss'}


@MODELS.register_module()
class Distiller(BaseDistiller):
    """A student that learns from a teacher at stages of (layers, neck, prior, loss), each one line.

    It works for any detector or classifier of MMDetection and MMPretrain. A dry run finds the channels.
    :class:`DPKDistiller` is its name in configs of DPK.

    Args:
        student (str or dict): The student: ``'pkg::path'``, a local config file, or a model dict.
        teacher (dict): Arguments of :class:`dpk_mm.FrozenTeacher`: ``config``, ``checkpoint``, ...
        stages (Sequence[dict]): For each: ``at`` (or ``student_at`` and ``teacher_at``), the layer, e.g.
            ``'neck[3]'``; ``loss``; for DPK ``neck`` and ``prior``; optionally ``name``. A list of layers, or
            ``'backbone.layer1.*'`` for all that lie directly below one, is a group, for the losses that
            compare groups, such as :class:`dpk_mm.KRLoss`.
        logits (dict, optional): One more stage on the logits: ``at``, ``loss``.
        init_student (bool): Inheriting (authors' code): start the student from every teacher weight outside
            the backbone whose name and shape it shares. Defaults to False.
        input_shape (tuple[int, int], optional): Of the dry run; see :class:`BaseDistiller`.
        task_loss_weight (float): Factor of the student's own losses.
        data_preprocessor (dict, optional): See :class:`BaseDistiller`.

    Attributes:
        layers (dict[str, tuple]): Stage -> the layers of student and teacher: names, or tuples of them.

    Raises:
        ValueError: Anything in the config that does not fit; names the field, what came and what would.

    Examples:
        >>> model = dict(
        ...     type='dpk_mm.Distiller',
        ...     student='mmdet::retinanet/retinanet_r50_fpn_2x_coco.py',
        ...     teacher=dict(
        ...         config='mmdet::retinanet/retinanet_r101_fpn_2x_coco.py', checkpoint='hub'),
        ...     stages=[dict(at='neck[0]', loss=dict(type='dpk_mm.FGDLoss'))])
    """

    def __init__(
        self,
        student: Union[str, dict],
        teacher: dict,
        stages: Sequence[dict],
        logits: Optional[dict] = None,
        init_student: bool = False,
        input_shape: Optional[tuple[int, int]] = None,
        task_loss_weight: float = 1.0,
        data_preprocessor: Optional[dict] = None,
    ) -> None:
        super().__init__(student, teacher, input_shape, task_loss_weight, data_preprocessor)
        self.init_student = init_student
        if not isinstance(stages, (list, tuple)) or not all(isinstance(stage, dict) for stage in stages):
            raise ValueError(f'stages must be a list of dicts, got {stages!r}.')
        stage_cfgs = {f'stages[{i}]': dict(stage) for i, stage in enumerate(stages)}
        if logits is not None:
            stage_cfgs['logits'] = {'name': 'logits', **logits}
        if not stage_cfgs:
            raise ValueError('stages is empty and there are no logits: nothing would be distilled.')
        for field, stage in stage_cfgs.items():
            self._check_stage(stage, field)
        self.layers = {s['name']: (s['student_at'], s['teacher_at']) for s in stage_cfgs.values()}
        student_shapes = self._probe(stage_cfgs, 'student_at')
        teacher_shapes = self._probe(stage_cfgs, 'teacher_at')
        with preserve_random_state():
            for field, stage in stage_cfgs.items():
                shapes = (
                    _at(student_shapes, stage['student_at']),
                    _at(teacher_shapes, stage['teacher_at']),
                )
                self._add_stage(stage, field, *shapes)
        needed = [self.layers[name] for name, stage in self.distiller.items() if not stage.is_idle]
        self.student_taps = [tap for student_at, _ in needed for tap in _layers(student_at)]
        self.teacher_taps = [tap for _, teacher_at in needed for tap in _layers(teacher_at)]
        if init_student and not self._inheritable():
            raise ValueError(
                'init_student=True, but no teacher weight outside the backbone has the name and shape of '
                "one of the student's."
            )

    def _check_stage(self, stage: dict, field: str) -> None:
        """Check the keys and layers of one stage, and fill in ``student_at``, ``teacher_at``, ``name``."""
        unknown = set(stage) - _STAGE_KEYS
        if unknown:
            raise ValueError(
                f'{field} has no field {sorted(unknown)}; it takes {", ".join(sorted(_STAGE_KEYS))}.'
            )
        if 'loss' not in stage:
            raise ValueError(f'{field} needs a loss.')
        at = stage.pop('at', None)
        layer = stage.get('student_at', at)
        for side, model in (('student_at', self.student), ('teacher_at', self.teacher.model)):
            stage.setdefault(side, at)
            if stage[side] is None:
                raise ValueError(f'{field} needs at, or both student_at and teacher_at.')
            where = f'{field}.{"at" if stage[side] == at else side}'
            stage[side] = find_taps(model, stage[side], where)
        _check_group(stage, field)
        if not isinstance(layer, str):  # a list is called by what its names begin with
            layer = '.'.join(commonprefix([name.split('.') for name in layer]))
        # Names become module names: 'neck[3]' -> 'neck_3', 'backbone.layer4' -> 'backbone_layer4'
        name = stage.setdefault('name', re.sub(r'\W+', '_', layer).strip('_'))
        if not isinstance(name, str) or not name.isidentifier() or hasattr(nn.ModuleDict, name):
            raise ValueError(f"{field}.name={name!r}: expected a word such as 'p4'.")

    def _probe(self, stage_cfgs: dict[str, dict], side: str) -> dict[str, torch.Size]:
        """The shapes of the tapped features; an error names the stage."""
        taps = [tap for stage in stage_cfgs.values() for tap in _layers(stage[side])]
        model = self.student if side == 'student_at' else self.teacher.model
        try:
            if model is self.student:
                return probe(model, taps, self.input_shape)
            return self.teacher.probe(taps, self.input_shape)
        except TapError as error:
            field = next(field for field, stage in stage_cfgs.items() if error.tap in _layers(stage[side]))
            raise ValueError(f'{field}.{side}: {error}') from error
        except RuntimeError as error:  # torch's way to say that a size does not fit
            who = f'{side.removesuffix("_at")}: {type(model).__name__}'
            raise ValueError(
                f'{who} does not run on a blank image of {blank_shape(model, self.input_shape)}; give '
                f'input_shape=(H, W) one that it takes. torch says: {error}'
            ) from error

    def _add_stage(self, stage: dict, field: str, student_shape: Sequence, teacher_shape: Sequence) -> None:
        name, layers = stage['name'], _layers(stage['student_at'])
        kind = DistillStage if isinstance(stage['student_at'], str) else GroupStage
        if name in self.distiller:
            raise ValueError(f'{field}: two stages are called {name!r}; give one a name of its own.')
        parts = {key: stage[key] for key in ('neck', 'prior', 'loss') if key in stage}
        try:
            self.distiller[name] = kind(name, student_shape, teacher_shape, **parts)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f'{field} ({", ".join(layers)}): {error}') from error

    def distill(
        self,
        student_feats: dict[str, Tensor],
        teacher_feats: dict[str, Tensor],
        data_samples: Optional[Sequence],
    ) -> dict[str, Tensor]:
        """``loss_distill_<stage>`` and ``ratio_<stage>`` of all stages; see :class:`BaseDistiller`."""
        feats = {}
        for name, stage in self.distiller.items():
            if not stage.is_idle:
                student_at, teacher_at = self.layers[name]
                feats[name] = stage.align(_at(student_feats, student_at), _at(teacher_feats, teacher_at))
        mixing = [name for name in feats if self.distiller[name].prior is not None]
        # of all stages at once, so that a step waits for the device once
        asked = compute_ratios(
            [self.distiller[name].prior for name in mixing], [feats[name] for name in mixing]
        )
        ratios = dict(zip(mixing, asked))
        values: dict[str, Tensor] = {}
        for name, stage in self.distiller.items():
            values.update(stage(*feats.get(name, (None, None)), data_samples, ratios.get(name)))
        return values

    def init_weights(self) -> None:
        """Inheriting: initialise as :class:`BaseDistiller` does, then copy weights of the teacher."""
        super().init_weights()
        if not self.init_student:
            return
        inheritable = self._inheritable()
        with torch.no_grad():
            for own, teachers in inheritable.values():
                own.copy_(teachers)
        others = [
            key
            for key in self.student.state_dict()
            if not key.startswith('backbone.') and key not in inheritable
        ]
        print_log(f'The student inherits {len(inheritable)} weights of the teacher', 'current')
        if others:
            print_log(
                f'{len(others)} weights outside the backbone find no match in the teacher and keep their '
                f'own start: {", ".join(others[:5])}',
                logger='current',
                level=logging.WARNING,
            )

    def _inheritable(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Inheriting: name -> (student's, teacher's) of the weights outside the backbone that fit."""
        own = self.student.state_dict()
        return {
            key: (own[key], value)
            for key, value in self.teacher.model.state_dict().items()
            if not key.startswith('backbone.') and key in own and own[key].shape == value.shape
        }


def _layers(at: Union[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The layers of a place: one, or those of a group."""
    return (at,) if isinstance(at, str) else at


def _at(values: dict[str, Any], at: Union[str, tuple[str, ...]]) -> Any:
    """What lies at a place: one value, or a tuple of them."""
    return values[at] if isinstance(at, str) else tuple(values[layer] for layer in at)


def _check_group(stage: dict, field: str) -> None:
    """Check that both sides, and the loss, are of a group or of one layer, and that a group has no neck."""
    groups = [side for side in ('student_at', 'teacher_at') if isinstance(stage[side], tuple)]
    if len(groups) == 1:
        raise ValueError(f'{field}: {groups[0]} is a group of layers, the other side one layer.')
    for part in ('neck', 'prior'):
        if groups and part in stage:
            raise ValueError(f'{field}: a group of layers takes no {part}.')
    try:
        kind = loss_class(stage['loss'])
    except ValueError as error:
        raise ValueError(f'{field}: {error}') from error
    if (kind.takes == 'groups') == bool(groups):
        return
    if groups:
        raise ValueError(f'{field}: {kind.__name__} compares one layer with one; at is a group of layers.')
    raise ValueError(
        f'{field}: {kind.__name__} compares groups of layers: give at a list of them, or e.g. '
        f"'backbone.layer1.*' for all directly below one; got {stage['student_at']!r}."
    )
