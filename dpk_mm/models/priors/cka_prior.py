"""The dynamic prior of DPK: the prior ratio by CKA."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils import hsics, positions_as_samples
from dpk_mm.utils.hints import Range, Share

from .measured_prior import MeasuredPrior


@MODELS.register_module()
class CKAPrior(MeasuredPrior):
    """Dynamic prior ratio (paper): 1 - CKA of the two maps, so a wide gap gets much prior knowledge.

    Linear CKA, unbiased minibatch estimator, raw features, no gradient, no average over steps (paper and
    authors' code). Where images are fewer than the four it needs, as in detection, positions are taken as
    samples; over ranks the HSICs are summed, three numbers a stage (ours). Positions in the padding of a
    batch count like any other.

    The bounds are one rule for all tasks (ours): the ratio stays within floor and cap, and where CKA is
    undefined it is the fallback. The authors' code has another rule for each task; docs/dpk.md compares them.

    Args:
        samples (str): ``'images'``, ``'positions'``, or ``'auto'``: images where this batch has four,
            else positions (all ranks need batches of one size, as mmengine's samplers give them).
        max_positions (int): Most positions to take from a batch; all ranks together see
            ``world_size`` times as many.
        sync (bool): Give all ranks the ratio of the whole batch.
        floor (float): Lowest ratio; the configs have 0.15, or 0.10 for ImageNet. Defaults to 0.15.
        cap (float): Highest ratio; the configs have 0.95, or 0.85 for detection. Defaults to 0.95.
        fallback (float): Ratio where CKA is undefined; the configs have 0.8 for ImageNet, 0.9 for CIFAR, 0.5
            for detection (authors' code). Defaults to 0.5.

    Raises:
        ValueError: Unknown ``samples``, or a number out of range.
    """

    def __init__(
        self,
        samples: Literal['images', 'positions', 'auto'] = 'auto',
        max_positions: Annotated[int, Range(least=4)] = 4096,
        sync: bool = True,
        floor: Share = 0.15,
        cap: Share = 0.95,
        fallback: Share = 0.5,
    ) -> None:
        super().__init__(floor, cap, fallback)
        self.samples = samples
        self.max_positions = max_positions
        self.sync = sync

    def measure(self, student_feat: Tensor, teacher_feat: Tensor) -> Tensor:
        """The three HSICs of the batch, (3,) float64; zeros where it has too few samples."""
        if self.samples == 'positions' or (self.samples == 'auto' and len(student_feat) < 4):
            student_feat = positions_as_samples(student_feat, self.max_positions)
            teacher_feat = positions_as_samples(teacher_feat, self.max_positions)
        if len(student_feat) < 4:
            # This rank has nothing to say, but must join the others' sum.
            return torch.zeros(3, dtype=torch.float64, device=student_feat.device)
        return hsics(student_feat, teacher_feat)

    def to_ratio(self, values: Sequence[float]) -> float:
        """The ratio that HSICs call for; NaN where their CKA is undefined."""
        xy, xx, yy = values
        # of a constant map the HSIC is 0, and that of noise may be estimated below
        return self.from_cka(xy / math.sqrt(xx * yy) if min(xx, yy) > 0 else math.nan)

    def from_cka(self, cka: float) -> float:
        """The ratio that a CKA calls for."""
        return 1 - cka
