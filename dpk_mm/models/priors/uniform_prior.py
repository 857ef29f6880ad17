"""Ablation: chance instead of the gap."""

import torch
from mmengine.dist import broadcast
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils import step_generator

from .base_prior import BasePrior


@MODELS.register_module()
class UniformPrior(BasePrior):
    """A new uniform draw from [floor, cap] at every step and stage, alike on all ranks [A].

    Args:
        floor (float): Lowest ratio.
        cap (float): Highest ratio.
    """

    def __init__(self, floor: float = 0.0, cap: float = 0.95) -> None:
        super().__init__(floor, cap)

    def ratio(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """The draw, whatever the maps."""
        draw = torch.rand((), generator=step_generator(f'{self.stage}.prior'))
        # the ranks' seeds may differ, their ratio must not
        draw = draw.to(student_feat.device)
        broadcast(draw)
        return self.floor + (self.cap - self.floor) * draw.item()
