"""What all stages have in common: where a student learns from its teacher."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from dpk_mm.models.parts import build_part, check_part
from dpk_mm.utils.errors import FieldError


class BaseStage(nn.Module, ABC):
    """A name and a loss.

    A subclass sets up its own parts, then calls :meth:`add_loss`, and gives :meth:`compare`.

    A stage whose loss has ``loss_weight`` 0 only watches: it logs a loss of 0 and, with a prior, its ratio,
    and trains nothing.

    Args:
        name (str): Its name in logs and checkpoints.

    Attributes:
        prior (Callable, optional): How much prior knowledge the stage gets, where a neck takes it.
        watches (bool): Whether it only watches.
        on_logits (bool): Whether it compares logits.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.prior: Any = None
        self.on_logits = False

    def add_loss(self, loss: dict, **found: Any) -> None:
        """Build the loss, the last part of the stage; ``found`` as in :func:`build_part`."""
        least, widths = check_part(loss, 'loss', 'loss').least_channels, found['teacher_channels']
        if min(widths if isinstance(widths, tuple) else [widths]) < least:
            raise FieldError('loss', f': {loss["type"]} needs {least} classes or channels at least.')
        self.loss = build_part(loss, 'loss', **found)
        self.loss.stage = self.name
        self.watches = self.loss.loss_weight == 0
        if self.watches:
            self.requires_grad_(False)

    def align(self, student: Any, teacher: Any) -> tuple[Any, Any]:
        """What the layers gave, made fit to be compared."""
        return student, teacher

    def forward(
        self,
        student: Any,
        teacher: Any,
        data_samples: Optional[Sequence] = None,
        ratio: Optional[float] = None,
    ) -> dict[str, Tensor]:
        """What the stage logs.

        Args:
            student (Any): What the student's layers gave, through :meth:`align`.
            teacher (Any): What the teacher's gave, through :meth:`align`.
            data_samples (Sequence, optional): B samples.
            ratio (float, optional): What the stage's prior says, where it has one.

        Returns:
            dict[str, Tensor]: ``loss_distill_<name>`` and, with a prior, ``ratio_<name>``, both scalars.
        """
        # the ratio is left on the CPU: it is only logged
        values = {} if ratio is None else {f'ratio_{self.name}': torch.tensor(ratio)}
        loss = torch.zeros(()) if self.watches else self.compare(student, teacher, data_samples, ratio)
        return {f'loss_distill_{self.name}': loss, **values}

    @property
    def is_idle(self) -> bool:
        """Whether it needs no maps, as it only watches and has nothing to see."""
        return self.watches and self.prior is None

    @abstractmethod
    def compare(
        self, student: Any, teacher: Any, data_samples: Optional[Sequence], ratio: Optional[float]
    ) -> Tensor:
        """The loss, a scalar; arguments as in :meth:`forward`."""
