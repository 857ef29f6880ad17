"""Distillation of refined logits."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import NotNegative, Positive

from .distill_loss import DistillLoss, LossWeight
from .logits import decouple, find_labels

# The logit of a class that is left out: no probability, and still finite.
_NOWHERE = -1e9


@MODELS.register_module()
class RLDLoss(DistillLoss):
    """RLD: the label corrects the teacher, how sure it is and which classes it compares.

    Source: Sun et al., ICCV 2025. For (B, K) logits z and the label y of an image, at temperature T, with
    p = softmax(z / T) (paper)::

        T^2 (alpha KL((m, 1 - m) || (p_student[y], 1 - p_student[y])) + beta KL(q_teacher || q_student))

    It is the mean over images. m is the largest p_teacher, whatever its class, and q the softmax over the
    classes that the teacher ranks below y. Where the teacher is right it is :class:`DKDLoss`. Where fewer
    than two classes lie below y, the second part is 0.

    alpha = 1, beta = 8 and T = 4 are DKD's for ResNet-32x4 to ResNet-8x4, and within the authors' range of
    beta, 4 to 8 (paper, by a summary). Of mixed images the label is the class with the largest share (ours).

    Args:
        alpha (float): Weight of the teacher's trust.
        beta (float): Weight of the classes below the label.
        temperature (float): T > 0.
        loss_weight (float): Weight of the sum.

    Raises:
        ValueError: A temperature that is not positive, or a negative weight.
    """

    takes = 'logits'
    least_channels = 2

    def __init__(
        self,
        alpha: NotNegative = 1.0,
        beta: NotNegative = 8.0,
        temperature: Positive = 4.0,
        loss_weight: LossWeight = 1.0,
    ) -> None:
        # Two weights of zero are a loss of weight zero.
        super().__init__(loss_weight if alpha or beta else 0.0)
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss of logits (B, K), with the labels of :class:`DKDLoss`; see :meth:`DistillLoss.forward`."""
        student = student_logits.float() / self.temperature
        teacher = teacher_logits.detach().float() / self.temperature
        labels = find_labels(data_samples, student, 'RLDLoss')
        sure = _kl(decouple(student, labels)[0], decouple(teacher, teacher.argmax(dim=1))[0])
        above = teacher >= teacher.gather(1, labels[:, None])
        below = _kl(*(z.masked_fill(above, _NOWHERE).log_softmax(dim=1) for z in (student, teacher)))
        return self.loss_weight * self.temperature**2 * (self.alpha * sure + self.beta * below)


def _kl(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean over rows of the divergence of two log-probabilities (B, N)."""
    return F.kl_div(student, teacher, reduction='batchmean', log_target=True)
