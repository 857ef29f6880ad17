"""Normalized distillation of logits."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import NotNegative, Positive

from .distill_loss import DistillLoss, LossWeight
from .logits import decouple, find_labels


@MODELS.register_module()
class NKDLoss(DistillLoss):
    """NKD: the teacher's trust in the label as a target, and the other classes normalized.

    Source: Yang et al., ICCV 2023. With p the softmax of (B, K) logits z, y the label of an image, and q the
    softmax of z / T over the K - 1 other classes (paper)::

        -p_teacher[y] log p_student[y] - gamma T^2 sum_k q_teacher[k] log q_student[k],  mean over images

    gamma = 1.5 and T = 1 are theirs (paper). It is a cross-entropy: equal logits do not bring it to 0. Of
    mixed images the label is the class with the largest share (ours).

    Args:
        gamma (float): Weight of the other classes.
        temperature (float): T > 0, of the other classes alone.
        loss_weight (float): Weight of the sum.

    Raises:
        ValueError: A temperature that is not positive, or a negative ``gamma``.
    """

    takes = 'logits'
    least_channels = 2

    def __init__(
        self, gamma: NotNegative = 1.5, temperature: Positive = 1.0, loss_weight: LossWeight = 1.0
    ) -> None:
        super().__init__(loss_weight)
        self.gamma = gamma
        self.temperature = temperature

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss of logits (B, K), with the labels of :class:`DKDLoss`; see :meth:`DistillLoss.forward`."""
        both = student_logits.float(), teacher_logits.detach().float()
        labels = find_labels(data_samples, student_logits, 'NKDLoss')
        student, teacher = (F.log_softmax(logits, dim=1).gather(1, labels[:, None]) for logits in both)
        target = -(teacher.exp() * student).mean()
        student, teacher = (decouple(logits / self.temperature, labels)[1] for logits in both)
        others = -(teacher.exp() * student).sum(dim=1).mean()
        return self.loss_weight * (target + self.gamma * self.temperature**2 * others)
