"""Ablation: cosine instead of CKA."""

import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from dpk_mm.registry import MODELS

from .base_prior import BasePrior


@MODELS.register_module()
class CosinePrior(BasePrior):
    """1 - the mean cosine similarity over positions and ranks [A].

    Args:
        floor (float): Lowest ratio.
        cap (float): Highest ratio.
    """

    def __init__(self, floor: float = 0.0, cap: float = 0.95) -> None:
        super().__init__(floor, cap)

    def ratio(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """1 - mean cosine, of maps with the same channels.

        Raises:
            ValueError: Different channel counts: CKA compares such maps, cosine cannot.
        """
        if student_feat.shape != teacher_feat.shape:
            raise ValueError(
                f'{self.stage}: CosinePrior needs maps of one shape, got {tuple(student_feat.shape)} '
                f'and {tuple(teacher_feat.shape)}; CKAPrior compares any channels.'
            )
        cosine = F.cosine_similarity(student_feat.float(), teacher_feat.float(), dim=1).mean()
        all_reduce(cosine, op='mean')
        return 1 - cosine.item()
