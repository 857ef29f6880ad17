"""Distillation of the teacher's transformed predictions."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Positive

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class WTTMLoss(DistillLoss):
    """WTTM: the teacher alone is softened, and counts for more where it is unsure.

    Source: Zheng and Yang, ICLR 2024. With p the softmax of (B, K) logits (paper)::

        u KL(p_teacher^gamma / u || p_student), mean over images    u = sum over classes of p_teacher^gamma

    The power is a temperature of 1 / gamma, which the student does not have. Equal logits bring the loss to
    0 for gamma = 1 alone. The authors choose gamma and weight for each pair: 0.2 and 4 are those for VGG13
    to VGG8 beside CRD (authors' code, its page).

    Args:
        gamma (float): Exponent of the teacher's probabilities, above 0.
        loss_weight (float): Weight of the loss (beta).

    Raises:
        ValueError: A ``gamma`` that is not positive.
    """

    takes = 'logits'
    least_channels = 2

    def __init__(self, gamma: Positive = 0.2, loss_weight: LossWeight = 4.0) -> None:
        super().__init__(loss_weight)
        self.gamma = gamma

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss of logits (B, K); see :meth:`DistillLoss.forward`."""
        student = F.log_softmax(student_logits.float(), dim=1)
        powered = self.gamma * F.log_softmax(teacher_logits.detach().float(), dim=1)
        log_u = powered.logsumexp(dim=1)
        kl = F.kl_div(student, powered - log_u[:, None], reduction='none', log_target=True).sum(dim=1)
        return self.loss_weight * (log_u.exp() * kl).mean()
