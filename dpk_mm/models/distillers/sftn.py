"""Student-friendly teachers."""

import re
from collections.abc import Sequence
from typing import Annotated, Optional, Union

import torch
from torch import Tensor, nn

from dpk_mm.models.losses import LogitsKLLoss
from dpk_mm.models.parts import build_part
from dpk_mm.registry import MODELS
from dpk_mm.utils import TapError, check_tap, load_model_cfg, preserve_random_state, probe, record
from dpk_mm.utils.blank import size_errors
from dpk_mm.utils.errors import FieldError, within
from dpk_mm.utils.hints import NotNegative, Shape
from dpk_mm.utils.sigmoid import sigmoid_loss

from .base_distiller import Model, fill_preprocessor, task_losses
from .model_wrapper import ModelWrapper
from .student_branch import StudentBranch

# lambda_KL is its weight
_LOSS_KL = dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=3.0)


@MODELS.register_module()
class SFTN(ModelWrapper):
    """A teacher that trains with student branches, so that its features are easy to pass on.

    Park et al., NeurIPS 2021 (paper). Behind each of the teacher's blocks hangs a branch: a transform to the
    student's channels and size, the student's remaining blocks, the student's head. All train jointly:

        L = lambda_T CE(teacher) + lambda_KL mean_i KL(teacher, branch_i) + lambda_CE mean_i CE(branch_i)

    with 1, 3 and 1 (ours, after what is known of the authors' code). The KL is at temperature 4 and times
    its square, as in KD; its gradient goes into both, as the teacher is to become friendly (ours). The
    trained file is a plain teacher's checkpoint, which any method then distils from; its branches lie under
    ``branches.``. To start from a trained teacher, name its checkpoint as ``load_from``.

    Args:
        teacher (str or dict): The classifier that is trained: ``'pkg::path'``, a local config file, or a
            model dict.
        student (str or dict): The classifier its features are made for.
        blocks (Sequence[str or dict]): For each branch the layer where the student takes over: a name where
            it is the same in both, else ``dict(teacher_at=..., student_at=...)``.
        logits_at (str): The layer that gives the logits, in both.
        loss_kl (dict, optional): Between the teacher's and a branch's logits; its ``loss_weight`` is
            lambda_KL. Defaults to :class:`dpk_mm.LogitsKLLoss` of weight 3 at temperature 4 (ours). Other
            losses on logits may take its place; they give the teacher's logits no gradient.
        task_loss_weight (float): lambda_T.
        branch_loss_weight (float): lambda_CE.
        input_shape (tuple[int, int]): Height and width of the images.
        data_preprocessor (dict, optional): For a teacher that has none of its own: mmengine's runner passes a
            config's top-level one.

    Raises:
        ValueError: Anything in the config that does not fit; names the field, what came and what would.
    """

    main_name = 'teacher'
    aux_name = 'branches'

    def __init__(
        self,
        teacher: Model,
        student: Model,
        blocks: Annotated[Sequence, 'a list of layers'],
        logits_at: str = 'head.fc',
        loss_kl: Optional[dict] = None,
        task_loss_weight: NotNegative = 1.0,
        branch_loss_weight: NotNegative = 1.0,
        input_shape: Shape = (224, 224),
        data_preprocessor: Optional[dict] = None,
    ) -> None:
        super().__init__()
        teacher_cfg, student_cfg = load_model_cfg(teacher, 'teacher'), load_model_cfg(student, 'student')
        fill_preprocessor(teacher_cfg, data_preprocessor)
        with within('teacher', teacher_cfg):
            self.wrap(MODELS.build(teacher_cfg), nn.ModuleDict())
        if not blocks:
            raise ValueError(f'blocks must be a list of layers, got {blocks!r}.')
        check_tap(self.teacher, logits_at, 'logits_at')
        self.logits_at = logits_at
        self.task_loss_weight = task_loss_weight
        self.branch_loss_weight = branch_loss_weight
        loss_kl = _LOSS_KL if loss_kl is None else loss_kl
        self.loss_kl = build_part(loss_kl, 'loss', 'loss_kl')
        if self.loss_kl.takes not in ('any', 'logits'):
            raise ValueError(f'loss_kl: {type(self.loss_kl).__name__} does not compare logits.')
        if self.loss_kl.state_dict():
            raise ValueError(
                f'loss_kl: {type(self.loss_kl).__name__} has weights, and a checkpoint of the teacher has no '
                'place for them.'
            )
        if trained_by := self.loss_kl.takes == 'logits' and sigmoid_loss(self.teacher, logits_at):
            raise FieldError(
                'loss_kl',
                f': it compares softmaxes, but {logits_at} is trained by {trained_by}, by sigmoids.',
            )
        if isinstance(self.loss_kl, LogitsKLLoss):
            self.loss_kl.detach_teacher = loss_kl.get('detach_teacher', False)
        places = [_places(block, f'blocks[{i}]') for i, block in enumerate(blocks)]
        self.taps = {}
        for i, (teacher_at, _) in enumerate(places):
            check_tap(self.teacher, teacher_at, f'blocks[{i}]')
            # names of modules: 'backbone.layer1' -> 'backbone_layer1'
            self.taps[re.sub(r'\W+', '_', teacher_at).strip('_')] = teacher_at
        if len(self.taps) < len(places):
            raise ValueError(f'blocks: a layer of the teacher is named twice in {list(blocks)}.')
        shapes = _probe(self.teacher, [*self.taps.values(), logits_at], input_shape, 'teacher')
        with preserve_random_state():
            for (name, teacher_at), (_, student_at) in zip(self.taps.items(), places):
                with within('student', student_cfg):
                    rest = MODELS.build(student_cfg)
                check_tap(rest, logits_at, 'logits_at')
                logits = shapes[logits_at], _probe(rest, [logits_at], input_shape, 'student')[logits_at]
                if len(logits[0]) != 2 or logits[0] != logits[1]:
                    raise ValueError(
                        f'logits_at={logits_at!r}: logits (B, K) of the same classes are needed, but the '
                        f'teacher gives {tuple(logits[0])}, the student {tuple(logits[1])}.'
                    )
                if logits[0][1] < self.loss_kl.least_channels:
                    raise ValueError(f'logits_at={logits_at!r}: logits of one class say nothing.')
                try:
                    self.branches[name] = StudentBranch(rest, student_at, shapes[teacher_at], input_shape)
                except ValueError as error:
                    raise ValueError(f'blocks ({teacher_at}): student.{error}') from error

    def loss(self, inputs: Tensor, data_samples: Optional[Sequence] = None) -> dict[str, Tensor]:
        """The teacher's loss and the branches'.

        Args:
            inputs (Tensor): (B, 3, H, W).
            data_samples (Sequence, optional): B samples.

        Returns:
            dict[str, Tensor]: ``loss_task``; for each branch ``loss_ce_<name>`` and ``loss_kl_<name>``,
            divided by the number of branches.
        """
        with record(self.teacher, [*self.taps.values(), self.logits_at]) as feats:
            losses = self.teacher(inputs, data_samples, mode='loss')
        losses = task_losses(losses, self.task_loss_weight)
        for name, branch in self.branches.items():
            own, logits = branch(feats[self.taps[name]], data_samples, self.logits_at)
            kl = self.loss_kl(logits, feats[self.logits_at], data_samples)
            losses[f'loss_ce_{name}'] = self.branch_loss_weight * own / len(self.branches)
            losses[f'loss_kl_{name}'] = kl / len(self.branches)
        return losses


def _probe(
    model: nn.Module, taps: list[str], input_shape: tuple[int, int], field: str
) -> dict[str, torch.Size]:
    """The shapes of what the layers give; an error names the field."""
    try:
        with size_errors(field, model, input_shape):
            return probe(model, taps, input_shape)
    except TapError as error:
        raise ValueError(f'{field}: {error}') from error


def _places(block: Union[str, dict], field: str) -> tuple[str, str]:
    """The layers of teacher and student."""
    if isinstance(block, str):
        return block, block
    if isinstance(block, dict) and set(block) == {'teacher_at', 'student_at'}:
        return block['teacher_at'], block['student_at']
    raise ValueError(
        f"{field} must be a layer's name or dict(teacher_at=..., student_at=...), got {block!r}."
    )
