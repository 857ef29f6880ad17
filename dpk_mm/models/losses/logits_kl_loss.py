"""Distillation of logits."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Positive

from .distill_loss import DistillLoss, LossWeight
from .logits import standardize_logits


@MODELS.register_module()
class LogitsKLLoss(DistillLoss):
    """T^2 KL(teacher || student) at temperature T, mean over images (Hinton et al.).

    With ``standardize`` it is LSKD's, see :func:`standardize_logits`: T = 2 and weight 9 beside 0.1 of the
    cross-entropy on CIFAR-100 (paper).

    Args:
        temperature (float): T > 0.
        loss_weight (float): Weight of the loss (alpha).
        detach_teacher (bool): Give the teacher's logits no gradient; False where both learn, as in SFTN.
        standardize (bool): Standardize the logits of both sides first. Defaults to False.

    Raises:
        ValueError: A temperature that is not positive, or a ``standardize`` that is no bool.
    """

    takes = 'logits'
    least_channels = 2

    def __init__(
        self,
        temperature: Positive = 1.0,
        loss_weight: LossWeight = 1.0,
        detach_teacher: bool = True,
        standardize: bool = False,
    ) -> None:
        super().__init__(loss_weight)
        self.temperature = temperature
        self.detach_teacher = detach_teacher
        self.standardize = standardize

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss of logits (B, K); see :meth:`DistillLoss.forward`."""
        if self.detach_teacher:
            teacher_logits = teacher_logits.detach()
        student_logits, teacher_logits = student_logits.float(), teacher_logits.float()
        if self.standardize:
            student_logits, teacher_logits = map(standardize_logits, (student_logits, teacher_logits))
        student = F.log_softmax(student_logits / self.temperature, dim=1)
        teacher = F.log_softmax(teacher_logits / self.temperature, dim=1)
        kl = F.kl_div(student, teacher, reduction='batchmean', log_target=True)
        return self.loss_weight * self.temperature**2 * kl
