"""The angle between two maps at every position."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS

from .distill_loss import DistillLoss


@MODELS.register_module()
class SpatialCosineLoss(DistillLoss):
    """Mean over images and positions of 1 - cosine of the two vectors of channels.

    RT-DETRv4 compares so the student's last map with the tokens of a foundation model, in float32 (paper).
    The length of a vector, and with it the range of the teacher's map, does not count.

    Args:
        loss_weight (float): Weight of the loss.
    """

    takes = 'maps'

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss of maps (B, C, H, W); see :meth:`DistillLoss.forward`."""
        cosine = F.cosine_similarity(student_feat.float(), teacher_feat.detach().float(), dim=1)
        return self.loss_weight * (1 - cosine).mean()
