"""What priors share that look at the maps."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import Tensor
from torch.profiler import record_function

from .base_prior import BasePrior


class MeasuredPrior(BasePrior):
    """A prior that measures on the device and decides on the host.

    A few numbers are measured, summed over ranks, brought to the host, and become a ratio there. The
    distiller does the middle part for all of its stages at once, see :func:`compute_ratios`, so that a step
    waits for the device once.

    Attributes:
        sync (bool): Whether the numbers are summed over ranks, which gives all ranks one ratio.
    """

    sync = True

    @abstractmethod
    def measure(self, student_feat: Tensor, teacher_feat: Tensor) -> Tensor:
        """Measure one batch, without waiting for the device.

        Args:
            student_feat (Tensor): (B, C_s, H, W).
            teacher_feat (Tensor): (B, C_t, H, W).

        Returns:
            Tensor: (k,) float64 on the maps' device, numbers whose sums over ranks mean something.
        """

    @abstractmethod
    def to_ratio(self, values: Sequence[float]) -> float:
        """The ratio before the bounds, NaN where undefined, that k (summed) numbers call for."""

    def ratio(self, student_feat: Tensor, teacher_feat: Tensor) -> float:
        """Measure, sum over ranks, decide; arguments as in :meth:`measure`."""
        values = self.measure(student_feat, teacher_feat)
        if self.sync:
            all_reduce(values)
        return self.to_ratio(values.tolist())


@torch.no_grad()
def compute_ratios(priors: Sequence, feats: Sequence[tuple[Tensor, Tensor]]) -> list[float]:
    """The ratios of several stages: what calling each prior gives, by one sum over ranks and one transfer.

    Args:
        priors (Sequence[Callable]): Priors, of this package or not, in the same order on all ranks.
        feats (Sequence[tuple]): For each, its maps: (B, C_s, H, W) of the student, (B, C_t, H, W) of the
            teacher; all on one device.

    Returns:
        list[float]: The ratios.
    """
    asked = [(prior, maps) for prior, maps in zip(priors, feats) if _only_measures(prior)]
    measured = [_run(prior, prior.measure, maps) for prior, maps in asked]
    numbers = iter(_to_host(measured, [prior.sync for prior, _ in asked]))
    return [
        prior.bound(prior.to_ratio(next(numbers)))
        if _only_measures(prior)
        else float(_run(prior, prior, maps))
        for prior, maps in zip(priors, feats)
    ]


def _run(prior: Any, ask: Callable, maps: tuple[Tensor, Tensor]) -> Any:
    """Ask a prior about a stage's maps; a profiler sees it under the stage's name."""
    with record_function(f'dpk_mm::prior/{getattr(prior, "stage", "")}'):
        return ask(*maps)


def _only_measures(prior: Any) -> bool:
    """Whether calling it is measuring and deciding, and no more; it may have another ``ratio``."""
    if not isinstance(prior, MeasuredPrior) or 'ratio' in vars(prior):
        return False
    return (type(prior).ratio, type(prior).__call__) == (MeasuredPrior.ratio, MeasuredPrior.__call__)


def _to_host(values: Sequence[Tensor], is_shared: Sequence[bool]) -> list[list[float]]:
    """Tensors (k,) as lists, those that are shared summed over ranks."""
    if not values:
        return []
    # shared ones first, as one piece
    order = sorted(range(len(values)), key=lambda i: not is_shared[i])
    flat = torch.cat([values[i] for i in order])
    num_shared = sum(len(value) for value, shared in zip(values, is_shared) if shared)
    if num_shared:
        all_reduce(flat[:num_shared])
    numbers = iter(flat.tolist())
    lists = {i: [next(numbers) for _ in range(len(values[i]))] for i in order}
    return [lists[i] for i in range(len(values))]
