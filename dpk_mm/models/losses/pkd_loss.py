"""Distillation by the correlation of feature maps."""

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class PKDLoss(DistillLoss):
    """PKD: each channel brought to mean 0 and variance 1 before maps are compared.

    Source: Cao et al., NeurIPS 2022. With n(x) = (x - mean) / (std + 1e-6), for each of the C channels over
    the B H W positions of the batch (paper)::

        mean over all elements of (n(student) - n(teacher))^2 / 2 = 1 - r

    r is Pearson's correlation (paper, benchmark code).

    The weight is 6 for Faster R-CNN, 10 for RetinaNet, on each of four levels (benchmark code). The variance
    is divided by B H W (ours), not by one less (benchmark code): the loss is 1 - r at any size, and a single
    position gives 0. Padding counts like any other position; the batch is that of one GPU.

    Args:
        loss_weight (float): Weight of the loss.
    """

    takes = 'maps'

    def __init__(self, loss_weight: LossWeight = 6.0) -> None:
        super().__init__(loss_weight)

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss of maps (B, C, H, W); see :meth:`DistillLoss.forward`."""
        student, teacher = standardize(student_feat), standardize(teacher_feat.detach())
        return self.loss_weight * F.mse_loss(student, teacher) / 2


def standardize(feat: Tensor) -> Tensor:
    """Bring each channel of a map to mean 0 and variance 1 over the batch.

    Args:
        feat (Tensor): (B, C, H, W).

    Returns:
        Tensor: (B, C, H, W) float32.
    """
    feat = feat.float()
    over = dict(dim=(0, 2, 3), keepdim=True)
    return (feat - feat.mean(**over)) / (feat.std(**over, unbiased=False) + 1e-6)
