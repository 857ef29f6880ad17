"""The prior ratio: what all priors share."""

import logging
import math
from abc import ABCMeta, abstractmethod

import torch
from mmengine.logging import print_log
from torch import Tensor

from dpk_mm.utils.checks import checked
from dpk_mm.utils.hints import Share


class BasePrior(metaclass=ABCMeta):
    """The prior ratio (paper): the share of tokens that the teacher fills, kept within bounds.

    A prior is called with (student_feat, teacher_feat) and gives a float.

    Args:
        floor (float): Lowest ratio given out.
        cap (float): Highest ratio given out.
        fallback (float): Ratio where the prior's own is undefined.

    Attributes:
        stage (str): Name of the stage it serves, set by the distiller.
        any_channels (bool): Class attribute: whether student and teacher may differ in channels.

    Raises:
        ValueError: Not 0 <= floor <= cap <= 1, or a fallback outside [0, 1].
    """

    any_channels = True

    @checked
    def __init__(self, floor: Share = 0.0, cap: Share = 1.0, fallback: Share = 0.5) -> None:
        if floor > cap:
            raise ValueError(f'a prior needs 0 <= floor <= cap <= 1, got floor={floor}, cap={cap}.')
        self.floor = float(floor)
        self.cap = float(cap)
        self.fallback = float(fallback)
        self.stage = ''
        self._has_warned = False

    @torch.no_grad()
    def __call__(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """The ratio for one batch of one stage.

        Args:
            student_feat (Tensor): (B, C_s, H, W).
            teacher_feat (Tensor): (B, C_t, H, W).

        Returns:
            float: In [floor, cap].
        """
        return self.bound(self.ratio(student_feat, teacher_feat))

    def bound(self, ratio: float) -> float:
        """A ratio within [floor, cap]; the fallback, and a warning, where it is undefined."""
        if not math.isfinite(ratio):
            if not self._has_warned:
                self._has_warned = True
                print_log(
                    f'{self.stage}: {type(self).__name__} is undefined for a batch (said once); '
                    f'the ratio falls back to {self.fallback}',
                    logger='current',
                    level=logging.WARNING,
                )
            ratio = self.fallback
        return min(max(float(ratio), self.floor), self.cap)

    @abstractmethod
    def ratio(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """The ratio before the bounds, NaN where undefined; arguments as in :meth:`__call__`."""
