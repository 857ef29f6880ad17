"""Ablation: chance instead of the gap."""

from collections.abc import Sequence

import torch
from mmengine.dist import get_rank
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils import step_generator
from dpk_mm.utils.hints import Share

from .measured_prior import MeasuredPrior


@MODELS.register_module()
class UniformPrior(MeasuredPrior):
    """A new uniform draw from [floor, cap] at every step and stage (authors' code).

    All ranks have the first one's draw (ours); in the authors' code each process draws its own.

    Args:
        floor (float): Lowest ratio.
        cap (float): Highest ratio.
    """

    def __init__(self, floor: Share = 0.0, cap: Share = 0.95) -> None:
        super().__init__(floor, cap)

    def measure(self, student_feat: Tensor, teacher_feat: Tensor) -> Tensor:
        """The first rank's draw, (1,) float64, whatever the maps: the ranks' seeds may differ."""
        draw = torch.rand((), generator=step_generator(f'{self.stage}.prior')).item()
        # a plain number: a tensor of the CPU's would have to wait for the device
        return student_feat.new_full((1,), draw * (get_rank() == 0), dtype=torch.float64)

    def to_ratio(self, values: Sequence[float]) -> float:
        """The draw, stretched to the bounds."""
        return self.floor + (self.cap - self.floor) * values[0]
