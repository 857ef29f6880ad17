"""What all priors share."""

import math
from abc import ABCMeta, abstractmethod

import torch
from torch import Tensor


class BasePrior(metaclass=ABCMeta):
    """How much prior knowledge: the share of tokens that the teacher fills, kept within bounds.

    A prior is called with (student_feat, teacher_feat) and gives a float; any callable that does is one.

    Args:
        floor (float): Lowest ratio given out.
        cap (float): Highest ratio given out.

    Attributes:
        stage (str): Name of the stage it serves, set by the distiller.

    Raises:
        ValueError: Not 0 <= floor <= cap <= 1.
    """

    def __init__(self, floor: float = 0.0, cap: float = 1.0) -> None:
        if not 0 <= floor <= cap <= 1:
            raise ValueError(f'a prior needs 0 <= floor <= cap <= 1, got floor={floor}, cap={cap}.')
        self.floor = floor
        self.cap = cap
        self.stage = ''

    @torch.no_grad()
    def __call__(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """The ratio for one batch of one stage.

        Args:
            student_feat (Tensor): (B, C_s, H, W).
            teacher_feat (Tensor): (B, C_t, H, W).

        Returns:
            float: In [floor, cap].
        """
        ratio = self.ratio(student_feat, teacher_feat)
        if not math.isfinite(ratio):
            raise FloatingPointError(f'{self.stage}: {type(self).__name__} gives a ratio of {ratio}.')
        return min(max(ratio, self.floor), self.cap)

    @abstractmethod
    def ratio(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """The ratio before the bounds; arguments as in :meth:`__call__`."""
