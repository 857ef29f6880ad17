"""What all places have in common where a student learns from its teacher."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from dpk_mm.registry import MODELS


class BaseStage(nn.Module, ABC):
    """A name and a loss.

    A subclass sets up its own parts, then calls :meth:`add_loss`, and gives :meth:`compare`.

    A stage whose loss has ``loss_weight`` 0 only watches: it logs its loss (0), trains nothing and gives no
    gradient. A loss that has an attribute ``stage`` is told the stage's name.

    Args:
        name (str): Its name in logs and checkpoints.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def add_loss(self, loss: dict, **found: Any) -> None:
        """Build the loss, the last part of the stage; ``found`` as in :func:`build_part`."""
        self.loss = build_part(loss, 'loss', **found)
        if hasattr(self.loss, 'stage'):
            self.loss.stage = self.name
        self.watches = getattr(self.loss, 'loss_weight', 1) == 0
        if self.watches:
            self.requires_grad_(False)

    def forward(
        self, student: Any, teacher: Any, data_samples: Optional[Sequence] = None
    ) -> dict[str, Tensor]:
        """As :meth:`compare`, without gradient where the stage only watches."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.watches):
            return self.compare(student, teacher, data_samples)

    @abstractmethod
    def compare(self, student: Any, teacher: Any, data_samples: Optional[Sequence]) -> dict[str, Tensor]:
        """``loss_dpk_<name>``, and values to log, from what the layers of student and teacher gave."""


def build_part(cfg: dict, field: str, **found: Any) -> Any:
    """Build a module, filling in those of the channel counts ``found`` that its class asks for.

    Raises:
        ValueError: No config of a module, or a declared channel count that is not the one found.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise ValueError(f'{field} must be a dict with a type, got {cfg!r}.')
    asked = inspect.signature(MODELS.get(cfg['type']).__init__).parameters
    for name, value in found.items():
        if name in asked and cfg.get(name, value) != value:
            raise ValueError(f'{field} declares {name}={cfg[name]}, but the layer gives {value}.')
    return MODELS.build({**{k: v for k, v in found.items() if k in asked}, **cfg})
