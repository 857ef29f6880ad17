"""Ablation: a schedule instead of the gap."""

from mmengine.logging import MessageHub
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Share

from .base_prior import BasePrior


@MODELS.register_module()
class LinearPrior(BasePrior):
    """start * (1 - t / T) over the iterations of training (authors' code: start = 0.95).

    Args:
        start (float): Ratio of the first iteration.
        floor (float): Lowest ratio.
        cap (float): Highest ratio.

    Raises:
        ValueError: A start outside [0, 1].
    """

    def __init__(self, start: Share = 0.95, floor: Share = 0.0, cap: Share = 0.95) -> None:
        super().__init__(floor, cap)
        self.start = start

    def ratio(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """The ratio of this iteration, whatever the maps.

        Raises:
            RuntimeError: Nobody says how long training is (mmengine's runner does).
        """
        hub = MessageHub.get_current_instance()
        total = hub.get_info('max_iters')
        if total is None:
            raise RuntimeError('LinearPrior needs max_iters in the message hub: train with a Runner.')
        return self.start * (1 - hub.get_info('iter', 0) / total)
