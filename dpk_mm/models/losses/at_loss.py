"""Attention transfer."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class ATLoss(DistillLoss):
    """Attention transfer: where a map is active, whatever its channels.

    Source: Zagoruyko and Komodakis, ICLR 2017. With a the vector of the H W sums of squares over channels,
    brought to length 1 (paper)::

        mean over images and positions of (a_student - a_teacher)^2      (benchmark code)

    The paper's formula has the distance itself, halved. The weight is 1000 on each of the three stages of a
    network for CIFAR-100 (benchmark code). Where sizes differ, the stage resizes the student's map (ours);
    the benchmarks pool the larger one (benchmark code).

    Args:
        loss_weight (float): Weight of the loss.
    """

    takes = 'maps'
    any_channels = True

    def __init__(self, loss_weight: LossWeight = 1000.0) -> None:
        super().__init__(loss_weight)

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss of maps (B, C_s, H, W) and (B, C_t, H, W); see :meth:`DistillLoss.forward`."""
        return self.loss_weight * F.mse_loss(_attention(student_feat), _attention(teacher_feat.detach()))


def _attention(feat: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W) of length 1."""
    # the mean instead of the sum: the same direction, and smaller numbers
    return F.normalize(feat.float().square().mean(dim=1).flatten(1), dim=1)
