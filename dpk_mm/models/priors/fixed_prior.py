"""The prior that is not dynamic."""

from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Share

from .base_prior import BasePrior


@MODELS.register_module()
class FixedPrior(BasePrior):
    """The same ratio at every step (authors' code; 0 is the neck without a prior).

    Args:
        ratio (float): In [0, 1].

    Raises:
        ValueError: A ratio outside [0, 1].
    """

    def __init__(self, ratio: Share = 0.5) -> None:
        super().__init__()
        self.value = float(ratio)

    def ratio(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """The fixed ratio, whatever the maps."""
        return self.value
