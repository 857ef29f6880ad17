"""Ablation: a schedule instead of the gap."""

from mmengine.logging import MessageHub
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Share

from .base_prior import BasePrior


@MODELS.register_module()
class ExponentialPrior(BasePrior):
    """base ** epoch (authors' code: 0.99). In an iteration-based loop the epoch stays 0.

    Args:
        base (float): Factor from one epoch to the next.
        floor (float): Lowest ratio.
        cap (float): Highest ratio.

    Raises:
        ValueError: A base outside [0, 1].
    """

    def __init__(self, base: Share = 0.99, floor: Share = 0.0, cap: Share = 0.95) -> None:
        super().__init__(floor, cap)
        self.base = base

    def ratio(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """The ratio of this epoch, whatever the maps."""
        return self.base ** MessageHub.get_current_instance().get_info('epoch', 0)
