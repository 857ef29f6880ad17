"""The state of a weight that finds itself."""

import logging
from functools import cache
from typing import Annotated, Literal, Optional

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from dpk_mm.utils.checks import checked
from dpk_mm.utils.hints import Positive, Range

# Sum of the shares of the stages of a kind. Those of maps were best on images held
# out (experiments/auto_weight). KD has some 0.8 with its usual weight.
DEFAULT_SHARES = dict(logits=1.0, detector=0.3, classifier=3.0)
# The second measurement, as a share of the schedule; those after it lie ever further apart, to the last.
_SECOND, _LAST = 1 / 64, 3 / 4
# So many first steps may send no gradient, as of batches without a labelled pixel.
_PATIENCE = 10


class AutoShare(nn.Module):
    """A weight that keeps the gradient of a loss at a share of the gradient of the task (ours).

    The first measurement is made in the first step, where gradients of distillation are large and mislead:
    the second takes its place. The others lie ever further apart over the schedule, as the ratio of the
    gradients changes fast at first. They are averaged, as logarithms.

    Args:
        type (str): ``'auto'``, as a config says.
        share (float, optional): Norm of the weighted gradients over the norm of the task's, summed over the
            stages of a kind, the logits or the maps: a distiller divides it by their number. Defaults to
            that of ``DEFAULT_SHARES``.
        iters (int, optional): Number of measurements. With n such stages it defaults to one in
            100 (n + 1) steps, 4 at least: about 1 % of the time of a run of some thousand steps.

    Attributes:
        weight (Tensor): Scalar float32, in the checkpoint. 0 until the first measurement.
        number (int): How many stages have a weight that finds itself.

    Raises:
        ValueError: A share that is not positive, or fewer than 2 measurements.
    """

    @checked
    def __init__(
        self,
        type: Literal['auto'] = 'auto',
        share: Optional[Positive] = None,
        iters: Optional[Annotated[int, Range(least=2)]] = None,
    ) -> None:
        super().__init__()
        self.share, self.iters, self.number = share, iters, 1
        self._started = self._begun = False
        self._waited = 0
        self.register_buffer('weight', torch.zeros(()))
        self.register_buffer('count', torch.zeros((), dtype=torch.long))

    @property
    def started(self) -> bool:
        """Whether there is a weight."""
        # the device is asked no more once there is one
        self._started = self._started or bool(self.count > 0)
        return self._started

    def begin(self, step: int) -> None:
        """Forget in a first step what another training found, as of a checkpoint in ``load_from``."""
        if step == 0 and not self._begun:  # a loop that does not count its steps has many such
            self._started = False
            self.weight.zero_()
            self.count.zero_()
        self._begun = step == 0

    def wait(self) -> bool:
        """Note a first step without a gradient; whether there were few of them so far."""
        self._waited += 1
        return self._waited < _PATIENCE

    def measurements(self, max_iters: int) -> int:
        """How many measurements a run of so many steps makes."""
        return self.iters or max(4, max_iters // (100 * (self.number + 1)))

    def is_due(self, step: int, max_iters: Optional[int]) -> bool:
        """Whether a step measures.

        Args:
            step (int): Number of the step, from 0. As long as there is no weight, every step measures.
            max_iters (int, optional): Length of the schedule. Where it is not known, steps 0, 16, 32, 64 and
                so on measure.
        """
        if step == 0 or not self.started:
            return True
        if not max_iters:
            return step >= 16 and step & (step - 1) == 0
        return step in _steps(self.measurements(max_iters), max_iters)

    @torch.no_grad()
    def update(self, task: Tensor, stage: Tensor, max_iters: Optional[int] = None) -> None:
        """Take a measurement in; one that is not finite is left out.

        Args:
            task (Tensor): Scalar, norm of the gradient of the task.
            stage (Tensor): Scalar, norm of the gradient of the loss with weight 1.
            max_iters (int, optional): Length of the schedule.
        """
        found = (self.share * task / stage).to(self.weight)
        if not found.isfinite() or found == 0:
            return
        # the more there are, the more are averaged
        pace = 1 / (1 + self.measurements(max_iters or 1) / 8)
        pace = 1.0 if self.count < 2 else max(pace, 1 / int(self.count))
        start = found if self.count == 0 else self.weight
        if not 1e-3 < found / start < 1e3:
            text = f'An auto weight jumps from {float(start):.1e} to {float(found):.1e}: look at the losses'
            print_log(text, 'current', logging.WARNING)
        self.weight.copy_(start * (found / start) ** pace)
        self.count += 1


@cache
def _steps(number: int, max_iters: int) -> frozenset:
    """The steps but the first that measure, so many, ever further apart."""
    growth = (_LAST / _SECOND) ** (1 / max(number - 2, 1))
    return frozenset(max(1, round(max_iters * _SECOND * growth**k)) for k in range(number - 1))
