"""Distillation of the relations between logits."""

from collections.abc import Sequence
from typing import Optional

from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import NotNegative, Positive

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class DISTLoss(DistillLoss):
    """DIST: correlation of the predictions, by image and by class, instead of their divergence.

    Source: Huang et al., NeurIPS 2022. With p = softmax(z / T) of (B, K) logits z and r Pearson's
    correlation of two vectors (paper)::

        T^2 (beta (1 - mean_i r(p_student[i, :], p_teacher[i, :]))      inter: B images, over classes
           + gamma (1 - mean_k r(p_student[:, k], p_teacher[:, k])))    intra: K classes, over images

    The authors' code adds 1e-8 to the product of the norms, and so do we: classes that no image of the batch
    is like count for little. It takes beta = gamma = 1 and T = 1 on ImageNet, and T = 4 and a weight of 2 on
    CIFAR-100 (authors' code); MMRazor weighs the sum by 2 on ImageNet too (benchmark code). The batch is that
    of one GPU.

    Args:
        beta (float): Weight of the relation within an image.
        gamma (float): Weight of the relation within a class.
        temperature (float): T > 0.
        loss_weight (float): Weight of the sum.

    Raises:
        ValueError: A temperature that is not positive.
    """

    takes = 'logits'
    least_channels = 2

    def __init__(
        self,
        beta: NotNegative = 1.0,
        gamma: NotNegative = 1.0,
        temperature: Positive = 1.0,
        loss_weight: LossWeight = 1.0,
    ) -> None:
        # Two weights of zero are a loss of weight zero.
        super().__init__(loss_weight if beta or gamma else 0.0)
        self.beta = beta
        self.gamma = gamma
        self.temperature = temperature

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss of logits (B, K); see :meth:`DistillLoss.forward`."""
        student = (student_logits.float() / self.temperature).softmax(dim=1)
        teacher = (teacher_logits.detach().float() / self.temperature).softmax(dim=1)
        inter = 1 - _correlation(student, teacher).mean()
        intra = 1 - _correlation(student.T, teacher.T).mean()
        return self.loss_weight * self.temperature**2 * (self.beta * inter + self.gamma * intra)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of each row of two (N, D): (N,)."""
    a, b = (rows - rows.mean(dim=1, keepdim=True) for rows in (a, b))
    return (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-8)
