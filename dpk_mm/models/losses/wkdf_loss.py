"""The Wasserstein distance of two maps' channels."""

from collections.abc import Sequence
from typing import Optional

from torch import Tensor

from dpk_mm.registry import MODELS

from .distill_loss import DistillLoss


@MODELS.register_module()
class WKDFLoss(DistillLoss):
    """WKD-F: each map as a Gaussian, whose channels do not depend on each other.

    Source: Lv et al., NeurIPS 2024. With mu and sigma the mean and the standard deviation of each of the C
    channels over the H W positions of an image (paper)::

        sum over channels of (mu_student - mu_teacher)^2 + (sigma_student - sigma_teacher)^2, mean over images

    That is the squared Wasserstein-2 distance of the two Gaussians. Both parts count alike (ours). The
    variance is divided by H W, with 1e-6 beside it, so that flat channels have a finite gradient (ours).

    Args:
        loss_weight (float): Weight of the loss. The authors' were not at hand.
    """

    takes = 'maps'

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss of maps (B, C, H, W); see :meth:`DistillLoss.forward`."""
        parts = zip(_gaussian(student_feat), _gaussian(teacher_feat.detach()))
        return self.loss_weight * sum((s - t).square().sum(dim=1).mean() for s, t in parts)


def _gaussian(feat: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, H, W) -> mean and standard deviation of each channel, both (B, C) float32."""
    feat = feat.float().flatten(2)
    return feat.mean(dim=2), (feat.var(dim=2, unbiased=False) + 1e-6).sqrt()
