"""Says once what the log of losses shows: a stage that teaches nothing, or breaks."""

import logging
from collections.abc import Mapping

import numpy as np
from mmengine.logging import MessageHub, print_log

from dpk_mm.utils.errors import DivergedError

from .base_stage import BaseStage

# So many steps are looked at together. That needs no value from the device, as the log has them already.
STEPS = 100
# So many steps without a finite loss end a training. Mixed precision has single ones.
PATIENCE = 10
# A loss below this part of the sum of all losses is negligible.
NEGLIGIBLE = 1e-3


class LossWatch:
    """Warns once of a stage whose loss is 0, not finite, or negligible for :data:`STEPS` steps (ours)."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, stages: Mapping[str, BaseStage]) -> None:
        """Look at the log where so many steps have passed.

        Args:
            stages (Mapping[str, BaseStage]): All stages by name.

        Raises:
            DivergedError: The sum of all losses was not finite for :data:`PATIENCE` steps.
        """
        hub = MessageHub.get_current_instance()
        step = hub.get_info('iter', 0)
        total = self._last(hub, 'loss')
        if len(total) >= PATIENCE and not np.isfinite(total[-PATIENCE:]).any():
            raise DivergedError(
                f'The training has diverged: its loss was not finite in the last {PATIENCE} steps. '
                'Go on from an earlier checkpoint with a lower learning rate, clipped gradients, or a lower '
                'loss_weight.'
            )
        if step == 0 or step % STEPS:
            return
        for name, stage in stages.items():
            losses = self._last(hub, f'loss_distill_{name}')
            if stage.watches or name in self._said or not len(losses):
                continue
            what = None
            if not np.isfinite(losses).all():
                what = (
                    'is not finite in some: lower the learning rate, the weight, or the precision of the loss'
                )
            elif not losses.any():
                what = 'is 0 in all, so it teaches nothing: look at its layer and at the settings of its loss'
            elif stage.loss.auto is None and len(total) == len(losses) and self._negligible(losses, total):
                part = np.abs(losses).mean() / np.abs(total).mean()
                what = f"is {part:.1e} of all losses: raise its loss_weight, or take loss_weight='auto'"
            if what is not None:
                self._said.add(name)
                text = f'Stage {name}: in the last {len(losses)} steps its loss {what}.'
                print_log(text, 'current', logging.WARNING)

    @staticmethod
    def _negligible(losses: np.ndarray, total: np.ndarray) -> bool:
        return np.abs(losses).mean() < NEGLIGIBLE * np.abs(total).mean()

    @staticmethod
    def _last(hub: MessageHub, name: str) -> np.ndarray:
        """The last values of a loss in the log, float64 (at most :data:`STEPS`,)."""
        known = hub.log_scalars.get(f'train/{name}')
        return np.asarray(known.data[0][-STEPS:] if known is not None else [], dtype=np.float64)
