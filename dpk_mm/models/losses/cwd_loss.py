"""Channel-wise distillation."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Positive

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class CWDLoss(DistillLoss):
    """CWD: each channel is a distribution over the positions.

    Source: Shu et al., ICCV 2021. With p the softmax of each of the C channels over its H W positions at
    temperature T (paper)::

        T^2 sum over positions of p_teacher log(p_teacher / p_student)

    It is the mean over channels (paper) and images (authors' code).

    T = 1 and weight 10 on every level are MMRazor's for detectors (benchmark code).

    Args:
        temperature (float): T > 0.
        loss_weight (float): Weight of the loss.

    Raises:
        ValueError: A temperature that is not positive.
    """

    takes = 'maps'

    def __init__(self, temperature: Positive = 1.0, loss_weight: LossWeight = 10.0) -> None:
        super().__init__(loss_weight)
        self.temperature = temperature

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss of maps (B, C, H, W); see :meth:`DistillLoss.forward`."""
        # (B C, H W), a row a distribution
        student, teacher = (
            F.log_softmax(feat.float().flatten(2).flatten(0, 1) / self.temperature, dim=1)
            for feat in (student_feat, teacher_feat.detach())
        )
        kl = F.kl_div(student, teacher, reduction='batchmean', log_target=True)
        return self.loss_weight * self.temperature**2 * kl
