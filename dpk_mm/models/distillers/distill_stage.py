"""A stage on one pair of layers."""

import logging
from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.profiler import record_function

from dpk_mm.models.parts import build_part, check_part
from dpk_mm.utils import resize_like, step_generator
from dpk_mm.utils.errors import FieldError

from .base_stage import BaseStage
from .pixels import pixels_as_images

# A neck with fewer tokens has little to mix.
FEW_TOKENS = 16


class DistillStage(BaseStage):
    """Neck, prior and loss of one pair of layers.

    With a neck, the loss compares the neck's prediction with the teacher's feature. Without one it
    compares the student's own feature, through a 1x1 convolution where the channels differ, so every
    feature-distillation method is a loss on such a stage. A loss whose class says ``any_channels = True``
    compares maps whatever their channels, and gets no convolution.

    Where height or width differ, the student's map is resized bilinearly to the teacher's, before prior and
    neck see it (authors' code, see :func:`dpk_mm.utils.resize_like`). Where they do at build, the log says
    so.

    A map of logits, as a segmentor gives, is compared by a loss on logits pixel by pixel, see
    :func:`pixels_as_images`, and by a loss on maps as any map.

    Args:
        name (str): Its name in logs and checkpoints.
        student_shape (torch.Size): (B, C_s, H', W') of the student's feature, or (B, K) of logits.
        teacher_shape (torch.Size): (B, C_t, H, W) of the teacher's, or (B, K).
        loss (dict): Loss; called with (student, teacher, data_samples).
        neck (dict, optional): Neck; called with (student, teacher, ratio, generator).
        prior (dict, optional): Prior; called with (student, teacher). Defaults to
            :class:`dpk_mm.CKAPrior` where there is a neck.
        ignore_index (int, optional): Of maps of logits, the label whose pixels are left out. Defaults to
            None: they are no logits.

    Raises:
        ValueError: Shapes that cannot be compared, or not by this loss, a declared channel count that is not
            the layer's, or a prior without a neck.
    """

    def __init__(
        self,
        name: str,
        student_shape: torch.Size,
        teacher_shape: torch.Size,
        loss: dict,
        neck: Optional[dict] = None,
        prior: Optional[dict] = None,
        ignore_index: Optional[int] = None,
    ) -> None:
        super().__init__(name)
        self.on_logits = len(student_shape) == 2 or ignore_index is not None
        self.ignore_index = ignore_index
        kind = check_part(loss, 'loss', 'loss')
        self.of_pixels = ignore_index is not None and kind.takes == 'logits'
        shapes = f"the student's is {tuple(student_shape)}, the teacher's {tuple(teacher_shape)}"
        if {len(student_shape), len(teacher_shape)} not in ({2}, {4}):
            raise ValueError(f'maps (B, C, H, W) or logits (B, K) can be compared, but {shapes}.')
        if student_shape[2:] != teacher_shape[2:]:
            print_log(
                f"{name}: {shapes}; the student's map is resized to the height and width of the teacher's.",
                'current',
                logging.WARNING,
            )
        channels = dict(student_channels=student_shape[1], teacher_channels=teacher_shape[1])
        self.neck = None
        self._looked = False
        if neck is not None:
            if len(student_shape) != 4:
                raise ValueError(f'a neck needs maps (B, C, H, W), but {shapes}.')
            self.neck = build_part(neck, 'neck', **channels)
            self.prior = build_part(dict(type='dpk_mm.CKAPrior') if prior is None else prior, 'prior')
            self.prior.stage = name
            if student_shape[1] != teacher_shape[1] and not self.prior.any_channels:
                kind = type(self.prior).__name__
                raise FieldError('prior', f': {kind} needs maps of the same channels, but {shapes}.')
        elif prior is not None:
            raise ValueError('a prior needs a neck to feed: give both or neither.')
        elif student_shape[1] == teacher_shape[1] or kind.any_channels:
            self.adapter = nn.Identity()
        elif len(student_shape) == 4 and not self.of_pixels:
            self.adapter = nn.Conv2d(student_shape[1], teacher_shape[1], 1)
        else:
            raise ValueError(f'logits must agree, but {shapes}: stages=dict({name}=None) leaves it out.')
        self.add_loss(loss, channels=teacher_shape[1], **channels)
        if not self.of_pixels and kind.takes not in ('any', 'maps' if len(student_shape) == 4 else 'logits'):
            raise FieldError(
                'loss', f': {type(self.loss).__name__} compares {self.loss.takes}, but {shapes}.'
            )

    def align(self, student_feat: Tensor, teacher_feat: Tensor) -> tuple[Tensor, Tensor]:
        """The student's map resized to the teacher's: (B, C_s, H', W') -> (B, C_s, H, W)."""
        return resize_like(student_feat, teacher_feat), teacher_feat

    def _check_tokens(self, feat: Tensor) -> None:
        """Say once where patches were made for larger images than those of the training."""
        if self._looked:
            return
        self._looked = True
        patch = getattr(self.neck, 'patch_size', 1)
        height, width = (-(-side // patch) for side in feat.shape[2:])
        if patch > 1 and height * width < FEW_TOKENS:
            print_log(
                f'{self.name}: the neck sees {height} x {width} tokens of a map of {tuple(feat.shape[2:])}, '
                f'as its patch_size is {patch}. Set model.input_shape to the size of the training images, or '
                'a smaller patch_size.',
                'current',
                logging.WARNING,
            )

    def compare(
        self,
        student_feat: Tensor,
        teacher_feat: Tensor,
        data_samples: Optional[Sequence],
        ratio: Optional[float],
    ) -> Tensor:
        """The stage's loss.

        Args:
            student_feat (Tensor): (B, C_s, H, W) or (B, K).
            teacher_feat (Tensor): (B, C_t, H, W) or (B, K).
            data_samples (Sequence, optional): B samples.
            ratio (float, optional): Share of teacher tokens, where there is a neck.

        Returns:
            Tensor: Scalar.
        """
        if self.neck is None:
            with record_function(f'dpk_mm::adapter/{self.name}'):
                predicted = self.adapter(student_feat)
        else:
            self._check_tokens(teacher_feat)
            with record_function(f'dpk_mm::neck/{self.name}'):
                generator = step_generator(self.name, student_feat.device)
                predicted = self.neck(student_feat, teacher_feat, ratio, generator)
        with record_function(f'dpk_mm::loss/{self.name}'):
            if self.of_pixels:
                predicted, teacher_feat, data_samples = pixels_as_images(
                    predicted, teacher_feat, data_samples, self.ignore_index
                )
                if len(predicted) == 0:  # no pixel has a label, so there is nothing to average
                    return predicted.float().sum()
            return self.loss(predicted, teacher_feat, data_samples)
