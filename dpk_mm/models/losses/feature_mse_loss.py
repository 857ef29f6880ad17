"""Mean squared error between two feature maps."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS

from .distill_loss import DistillLoss


@MODELS.register_module()
class FeatureMSELoss(DistillLoss):
    """Mean over all elements of the squared difference, as DPK trains classifiers (authors' code).

    Args:
        loss_weight (float): Weight of the loss.
    """

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss of maps (B, C, H, W); see :meth:`DistillLoss.forward`."""
        return self.loss_weight * F.mse_loss(student_feat.float(), teacher_feat.detach().float())
