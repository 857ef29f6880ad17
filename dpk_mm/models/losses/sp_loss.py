"""Similarity-preserving distillation."""

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class SPLoss(DistillLoss):
    """Similarity preserving: how alike the images of a batch are, whatever the channels.

    Source: Tung and Mori, ICCV 2019. With F the (B, C H W) maps and G = F F^T, each of its B rows brought to
    length 1 (paper)::

        sum of (G_student - G_teacher)^2 / B^2      (paper)

    On the last stage alone, with weight 3000 (benchmark code). The batch is that of one GPU; of one image
    the loss is 0. Where sizes differ, the stage resizes the student's map, which this loss would not need
    (ours).

    Args:
        loss_weight (float): Weight of the loss.
    """

    takes = 'maps'
    any_channels = True

    def __init__(self, loss_weight: LossWeight = 3000.0) -> None:
        super().__init__(loss_weight)

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss of maps (B, C_s, H, W) and (B, C_t, H, W); see :meth:`DistillLoss.forward`."""
        # Autocast would take the products in half precision, where they overflow.
        with torch.autocast(student_feat.device.type, enabled=False):
            student, teacher = _similarity(student_feat), _similarity(teacher_feat.detach())
            return self.loss_weight * F.mse_loss(student, teacher)


def _similarity(feat: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, B), rows of length 1."""
    rows = feat.float().flatten(1)
    return F.normalize(rows @ rows.T, dim=1)
