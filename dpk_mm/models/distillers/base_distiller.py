"""A student that learns from a teacher, and is otherwise just the student."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Optional, Union

import numpy as np
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.profiler import record_function

from dpk_mm.models.teachers.padding import pad_divisor
from dpk_mm.models.teachers.renormalize import unwrap_preprocessor
from dpk_mm.registry import MODELS
from dpk_mm.utils import load_model_cfg, record, teacher_cfg
from dpk_mm.utils.blank import image_channels, padded_size
from dpk_mm.utils.errors import FieldError, within
from dpk_mm.utils.hints import NotNegative, Shape
from dpk_mm.utils.plain import save_plain_history

from .model_wrapper import ModelWrapper

Model = Annotated[Union[str, dict], "'pkg::path', a config file, or a model dict"]
Teacher = Annotated[
    Union[str, dict, nn.Module],
    "'CONFIG:CHECKPOINT', a config whose weights upstream publishes, a dict with config and checkpoint, or a "
    'model',
]


class BaseDistiller(ModelWrapper):
    """Student, teacher and taps: everything but what is distilled, which a subclass says.

    In validation, test and prediction it *is* the student; hooks that reach for the model's attributes
    find the student's. Its checkpoints are student checkpoints: the student's weights under their own
    names, the modules of distillation under ``distiller.``, the teacher never. Building it draws no
    random numbers beyond those the student draws.

    A subclass sets :attr:`student_taps` and :attr:`teacher_taps`, puts modules of its own into
    ``self.distiller``, and gives :meth:`distill`.

    Args:
        student (str or dict): The student: ``'pkg::path'``, a local config file, or a model dict.
        teacher (str, dict or nn.Module): See :func:`dpk_mm.utils.teacher_cfg`.
        input_shape (tuple[int, int], optional): Height and width of the blank image that is shown to
            both models at build time to learn the shapes of their features. It is padded to a multiple of
            what the student's preprocessor pads batches to. Defaults to (256, 256) for detectors and
            segmentors, (224, 224) for other models.
        task_loss_weight (float): Factor of the student's own losses (gamma of the authors' code).
        data_preprocessor (dict, optional): For a student that has none of its own: mmengine's runner
            passes a config's top-level one.

    Attributes:
        student (nn.Module): The model that is trained.
        teacher (FrozenTeacher): No submodule, so no optimizer, EMA, DDP bucket or checkpoint sees it.
        distiller (nn.ModuleDict): Modules of distillation.
        student_taps, teacher_taps (list[str]): The layers that are read.
    """

    def __init__(
        self,
        student: Model,
        teacher: Teacher,
        input_shape: Optional[Shape] = None,
        task_loss_weight: NotNegative = 1.0,
        data_preprocessor: Optional[dict] = None,
    ) -> None:
        student_cfg = load_model_cfg(student, 'student')
        fill_preprocessor(student_cfg, data_preprocessor)
        with within('student', student_cfg):
            student_model = MODELS.build(student_cfg)
        if not isinstance(student_model, BaseModel) or getattr(student_model, 'with_head', True) is False:
            what = type(student_model).__name__
            raise FieldError(
                'student', f': a {what} without a head has no loss to train by; name a model with one.'
            )
        if any(kind.__name__ == 'BaseSelfSupervisor' for kind in type(student_model).__mro__):
            what = type(student_model).__name__
            raise FieldError(
                'student', f': a {what} learns without labels and predicts none; name a model that does.'
            )
        super().__init__()
        self.wrap(student_model, nn.ModuleDict())
        self.student_taps: list[str] = []
        self.teacher_taps: list[str] = []
        divisor = pad_divisor(unwrap_preprocessor(self.data_preprocessor))
        self.input_shape = input_shape and padded_size(input_shape, divisor)
        self.task_loss_weight = task_loss_weight
        with within('teacher'):
            teacher_model = MODELS.build({'type': 'dpk_mm.FrozenTeacher', **teacher_cfg(teacher)})
        ours, theirs = image_channels(student_model), image_channels(teacher_model.model)
        if ours != theirs:
            raise FieldError('teacher', f": its images have {theirs} channels, the student's {ours}.")
        teacher_model.match_input_normalization(self.data_preprocessor)
        save_plain_history()  # so that stock tools open the checkpoints of stock hooks
        # Past nn.Module's own __setattr__, which would make it a submodule.
        self.__dict__['teacher'] = teacher_model

    def loss(self, inputs: Tensor, data_samples: Optional[Sequence] = None) -> dict[str, Tensor]:
        """The student's losses under upstream's names, weighted, and those of :meth:`distill`.

        A classifier's ``loss`` is called ``loss_task``, as the log's ``loss`` is the sum of all.

        Args:
            inputs (Tensor): (B, C, H, W).
            data_samples (Sequence, optional): B samples.

        Returns:
            dict[str, Tensor]: Losses and values to log.
        """
        # The teacher goes first: what it needs on the way is free again before the student's graph grows.
        with record_function('dpk_mm::teacher'):
            teacher_feats = self.teacher(inputs, self.teacher_taps, data_samples)
        with record(self.student, self.student_taps) as student_feats, record_function('dpk_mm::student'):
            losses = self.student(inputs, data_samples, mode='loss')
        losses = task_losses(losses, self.task_loss_weight)
        losses.update(self.distill(student_feats, teacher_feats, data_samples))
        return losses

    @abstractmethod
    def distill(
        self,
        student_feats: dict[str, Tensor],
        teacher_feats: dict[str, Tensor],
        data_samples: Optional[Sequence],
    ) -> dict[str, Tensor]:
        """The losses of distillation (keys with 'loss') and values to log (keys without).

        Args:
            student_feats (dict[str, Tensor]): What :attr:`student_taps` gave, with gradient.
            teacher_feats (dict[str, Tensor]): What :attr:`teacher_taps` gave, without.
            data_samples (Sequence, optional): B samples.

        Returns:
            dict[str, Tensor]: Scalars.
        """


def fill_preprocessor(model: dict, given: Optional[dict]) -> None:
    """Give a model the data preprocessor of the whole config; where it has its own, tell how they differ.

    Args:
        model (dict): Is changed.
        given (dict, optional): What mmengine's runner passes.
    """
    if given is None:
        return
    own = model.setdefault('data_preprocessor', given)
    both = set(own) & set(given) - {'type'} if isinstance(own, dict) else ()
    lists = {key: [np.asarray(one[key]).tolist() for one in (own, given)] for key in both}
    if others := ', '.join(key for key, (ours, theirs) in sorted(lists.items()) if ours != theirs):
        text = f"data_preprocessor: the model's own counts. The config's differs in {others}."
        print_log(text, 'current', logging.WARNING)


def task_losses(losses: dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    """A model's own losses, weighted; a classifier's ``loss`` is called ``loss_task``.

    Args:
        losses (dict[str, Tensor]): Losses, lists of losses, and values that are only logged.
        weight (float): Factor of the losses.

    Returns:
        dict[str, Tensor]: The same.
    """
    if 'loss' in losses:
        # mmpretrain's name for the one loss of a classifier, and mmengine's for the sum in the log
        losses['loss_task'] = losses.pop('loss')
    if weight == 1:
        return losses
    return {name: _weighted(name, value, weight) for name, value in losses.items()}


def _weighted(name: str, value: Any, weight: float) -> Any:
    """A loss, or a list of them, times ``weight``; values that are only logged are left as they are."""
    if 'loss' not in name:
        return value
    return weight * value if isinstance(value, Tensor) else [weight * part for part in value]
