"""Mean squared error between two feature maps."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor, nn

from dpk_mm.registry import MODELS


@MODELS.register_module()
class FeatureMSELoss(nn.Module):
    """Mean over all elements of the squared difference, as DPK trains classifiers (authors' code).

    Args:
        loss_weight (float): Weight of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss.

        Args:
            student_feat (Tensor): (B, C, H, W), e.g. a neck's prediction.
            teacher_feat (Tensor): (B, C, H, W), the target; gets no gradient.
            data_samples (Sequence, optional): Not used.

        Returns:
            Tensor: Scalar float32.
        """
        return self.loss_weight * F.mse_loss(student_feat.float(), teacher_feat.detach().float())
