"""Ablation: cosine instead of CKA."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Share

from .measured_prior import MeasuredPrior


@MODELS.register_module()
class CosinePrior(MeasuredPrior):
    """1 - the mean cosine similarity of the channels' maps, (H W) numbers each (authors' code).

    The mean is over channels, images and ranks.

    Args:
        floor (float): Lowest ratio.
        cap (float): Highest ratio.
    """

    any_channels = False

    def __init__(self, floor: Share = 0.0, cap: Share = 0.95) -> None:
        super().__init__(floor, cap)

    def measure(self, student_feat: Tensor, teacher_feat: Tensor) -> Tensor:
        """The mean cosine of maps with the same channels, and 1 to count the ranks: (2,) float64.

        Raises:
            ValueError: Different channel counts: CKA compares such maps, cosine cannot.
        """
        if student_feat.shape != teacher_feat.shape:
            raise ValueError(
                f'{self.stage}: CosinePrior needs maps of one shape, got {tuple(student_feat.shape)} '
                f'and {tuple(teacher_feat.shape)}; CKAPrior compares any channels.'
            )
        student_feat, teacher_feat = student_feat.float().flatten(2), teacher_feat.float().flatten(2)
        cosine = F.cosine_similarity(student_feat, teacher_feat, dim=2).mean().double()
        return torch.stack([cosine, torch.ones_like(cosine)])

    def to_ratio(self, values: Sequence[float]) -> float:
        """1 - mean cosine over ranks."""
        total, ranks = values
        return 1 - total / ranks
