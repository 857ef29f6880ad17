"""The distiller of every method that is a loss on some layers."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional, Union

import torch
from mmengine.logging import print_log
from torch import Tensor

from dpk_mm.methods import build_stages, find_pair, merge_stages
from dpk_mm.models.losses.distill_loss import LossWeight
from dpk_mm.models.priors.measured_prior import compute_ratios
from dpk_mm.registry import MODELS
from dpk_mm.utils import TapError, blank_shape, is_detector, preserve_random_state, probe
from dpk_mm.utils.blank import size_errors
from dpk_mm.utils.errors import FieldError
from dpk_mm.utils.frozen import frozen_taps, output_of
from dpk_mm.utils.heads import pixel_ignore_index
from dpk_mm.utils.hints import NotNegative, Shape

from .auto_weight import apply_auto_weights, share_out
from .base_distiller import BaseDistiller, Model, Teacher
from .distill_stage import DistillStage
from .graph import check_graph, check_shapes, no_gradient
from .group_stage import GroupStage
from .inheriting import can_inherit, inherit, inheritable
from .inner_adamw import build_inner
from .loss_watch import LossWatch
from .stage_cfgs import complete_stages
from .stage_table import stage_table

Method = Annotated[Optional[str], "a name such as 'dpk', or a sum such as 'kd+fitnet'"]
_OPTIMIZER = 'a dict of lr, betas, weight_decay, max_norm, or False'
_STAGES = "a dict of stages by their names, such as dict(p4=dict(at='neck[1]', loss=...))"


@MODELS.register_module()
class Distiller(BaseDistiller):
    """A student that learns from a teacher at stages of (layers, neck, prior, loss).

    A method's name makes the stages, or a config writes them. A dry run finds layers and channels, and the
    log shows what was chosen as a table. Every detector and classifier of MMDetection and MMPretrain fits,
    and each ``EncoderDecoder`` of MMSegmentation. A backbone or a classifier may teach a detector.

    Args:
        student (str or dict): The student: ``'pkg::path'``, a local config file, or a model dict.
        teacher (str, dict or nn.Module): ``'CONFIG'``, with the weights that upstream publishes for it,
            ``'CONFIG:CHECKPOINT'``, arguments of :class:`dpk_mm.FrozenTeacher`, or a trained model.
        method (str, optional): A method of :mod:`dpk_mm.methods` such as ``'fgd'``, or a sum such as
            ``'kd+fitnet'``. Defaults to None: ``stages`` says all.
        stages (dict, optional): Name -> stage: ``at`` (or ``student_at`` and ``teacher_at``), the layer, e.g.
            ``'neck[3]'`` or ``'head.fc'``; ``loss``; for DPK ``neck`` and ``prior``. They are merged into
            those of the method, and None leaves one out. A list of layers, or ``'backbone.layer1.*'`` for all
            that lie directly below one, is a group, for a loss such as :class:`dpk_mm.KRLoss`.
        loss_weight (float, str or dict, optional): Takes the place of the weights of all losses of the
            method, such as ``'auto'``; see :class:`dpk_mm.DistillLoss`.
        init_student (bool, optional): Inheriting (authors' code): start the student from every teacher weight
            outside the backbone whose name and shape it shares. Defaults to None: with a method, where a
            detector's neck and head agree.
        input_shape (tuple[int, int], optional): Height and width of the training images; see
            :func:`dpk_mm.methods.find_pair`.
        optimizer (dict or bool, optional): Arguments of :class:`InnerAdamW`, which trains necks, adapters and
            losses. Defaults to None: with a method ``dict(lr=1e-3)``, else False: one optimizer trains all.
        task_loss_weight (float): See :class:`BaseDistiller`.
        data_preprocessor (dict, optional): See :class:`BaseDistiller`.

    Attributes:
        stage_cfgs (dict[str, dict]): The stages that were built, as a config could write them.
        optimizer (dict or bool, optional): As given, or what a method has.
        layers (dict[str, tuple]): Stage -> the layers of student and teacher: names, or tuples of them.
        shapes (list[dict]): Of student and teacher: layer -> the shape of what it gave for one image.

    Raises:
        ValueError: Anything in the config that does not fit; names the field, what came and what would.

    Examples:
        >>> model = dict(
        ...     type='dpk_mm.Distiller', method='fgd', stages=dict(p7=None),
        ...     student='mmdet::retinanet/retinanet_r50_fpn_2x_coco.py',
        ...     teacher='mmdet::retinanet/retinanet_r101_fpn_2x_coco.py')
    """

    def __init__(
        self,
        student: Model,
        teacher: Teacher,
        method: Method = None,
        stages: Annotated[Optional[dict], _STAGES] = None,
        loss_weight: Optional[LossWeight] = None,
        init_student: Optional[bool] = None,
        input_shape: Optional[Shape] = None,
        optimizer: Annotated[Union[dict, Literal[False], None], _OPTIMIZER] = None,
        task_loss_weight: NotNegative = 1.0,
        data_preprocessor: Optional[dict] = None,
    ) -> None:
        super().__init__(student, teacher, input_shape, task_loss_weight, data_preprocessor)
        chosen, seen, passed_over = {}, ({}, {}), ()
        if method is not None:
            pair = find_pair(self.student, self.teacher, self.input_shape)
            chosen, seen = build_stages(method, pair), pair.shapes
            frozen, passed_over = pair.frozen, pair.passed_over
            if init_student is None:
                init_student = pair.detects and can_inherit(self.student, self.teacher.model)
        else:
            frozen = frozen_taps(self.student, self.input_shape)
        if loss_weight is not None and method is None:
            raise FieldError(
                'loss_weight', ' is for the stages of a method; give it in the loss of each stage.'
            )
        for stage in chosen.values() if loss_weight is not None else ():
            stage['loss']['loss_weight'] = loss_weight
        self.method, self.loss_watch, self.inner = method, LossWatch(), None
        self.init_student = init_student or False
        self.stage_cfgs = merge_stages(chosen, stages or {}, passed_over)
        if not self.stage_cfgs and not (method == 'start' and self.init_student):
            raise ValueError('stages is empty: nothing would be distilled, or inherited.')
        cfgs = complete_stages(self.stage_cfgs, self.student, self.teacher.model)
        self.layers = {name: (stage['student_at'], stage['teacher_at']) for name, stage in cfgs.items()}
        self.shapes = shapes = [self._probe(side, seen[side]) for side in (0, 1)]
        with preserve_random_state():
            for name, cfg in cfgs.items():
                self._add_stage(name, cfg, *(_at(found, at) for found, at in zip(shapes, self.layers[name])))
        if share_out(self.distiller.values(), is_detector(self.student)) and task_loss_weight == 0:
            raise ValueError("task_loss_weight=0 leaves loss_weight='auto' no gradient to go by.")
        for name, stage in self.distiller.items():
            dead = [tap for tap in _layers(self.layers[name][0]) if output_of(tap) in frozen]
            if dead and not stage.watches:
                raise no_gradient(name, dead[0])
        needed = [self.layers[name] for name, stage in self.distiller.items() if not stage.is_idle]
        self.student_taps = [tap for student_at, _ in needed for tap in _layers(student_at)]
        self.teacher_taps = [tap for _, teacher_at in needed for tap in _layers(teacher_at)]
        if self.init_student and not inheritable(self.student, self.teacher.model):
            raise ValueError(
                'init_student=True, but no teacher weight outside the backbone has the name and shape of '
                "one of the student's."
            )
        self.optimizer = dict(lr=1e-3) if optimizer is None and method is not None else optimizer
        if self.optimizer not in (None, False):
            self.inner = build_inner(self.distiller, self.optimizer)
        print_log(stage_table(self, *shapes), 'current')

    def _probe(self, side: int, seen: dict[str, torch.Size]) -> dict[str, torch.Size]:
        """The shapes of the features of the student (0) or the teacher (1); an error names the stage.

        What the method's dry run has seen is not shown again.
        """
        taps = [tap for layers in self.layers.values() for tap in _layers(layers[side])]
        if set(taps) <= set(seen):
            return {tap: seen[tap] for tap in taps}
        model, name = ((self.student, 'student'), (self.teacher.model, 'teacher'))[side]
        shape = blank_shape(self.student, self.input_shape)  # both see the same batch
        try:
            with size_errors(name, model, shape):
                return self.teacher.probe(taps, shape) if side else probe(model, taps, shape)
        except TapError as error:
            stage = next(stage for stage, at in self.layers.items() if error.tap in _layers(at[side]))
            raise ValueError(f'stages.{stage}.{name}_at: {error}') from error

    def _add_stage(self, name: str, cfg: dict, student_shape: Sequence, teacher_shape: Sequence) -> None:
        parts = {key: cfg[key] for key in ('neck', 'prior', 'loss') if key in cfg}
        if isinstance(cfg['student_at'], str):
            kind = DistillStage
            parts['ignore_index'] = pixel_ignore_index(self.student, cfg['student_at'], student_shape)
        else:
            kind, parts['teacher'] = GroupStage, self.teacher
        try:
            self.distiller[name] = kind(name, student_shape, teacher_shape, **parts)
        except FieldError as error:
            raise error.under(f'stages.{name}') from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f'stages.{name} ({", ".join(_layers(cfg["student_at"]))}): {error}') from error

    def loss(self, inputs: Tensor, data_samples: Optional[Sequence] = None) -> dict[str, Tensor]:
        """As of :class:`BaseDistiller`; where a weight is ``'auto'``, also ``weight_<stage>``."""
        losses = super().loss(inputs, data_samples)
        if torch.is_grad_enabled():
            self.loss_watch(self.distiller)
            if self.inner is not None:
                self.inner.expect_step(self.student)
        return apply_auto_weights(losses, self.distiller, self.student)

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
                images = len(teacher_feats[_layers(teacher_at)[0]])
                check_shapes(name, _layers(student_at), student_feats, self.shapes[0], images)
                check_shapes(name, _layers(teacher_at), teacher_feats, self.shapes[1], images)
                if not stage.watches:
                    check_graph(name, _layers(student_at), student_feats, self.student)
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
        if self.init_student:
            inherit(self.student, self.teacher.model)


def _layers(at: Union[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The layers that a stage reads on one side: one, or those of a group."""
    return (at,) if isinstance(at, str) else at


def _at(values: dict[str, Any], at: Union[str, tuple[str, ...]]) -> Any:
    """The value of one layer, or a tuple of those of a group."""
    return values[at] if isinstance(at, str) else tuple(values[layer] for layer in at)
