"""Says once what the log of losses shows: a stage that teaches nothing."""

import logging
from collections.abc import Mapping

import numpy as np
from mmengine.logging import MessageHub, print_log

from .base_stage import BaseStage
from .diverged import last_logged

# So many steps are looked at together. That needs no value from the device, as the log has them already.
STEPS = 100
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
        """
        step = MessageHub.get_current_instance().get_info('iter', 0)
        if step == 0 or step % STEPS:
            return
        total = last_logged('loss', STEPS)
        for name, stage in stages.items():
            losses = last_logged(f'loss_distill_{name}', STEPS)
            if stage.watches or name in self._said or not len(losses):
                continue
            what = None
            if not np.isfinite(losses).all():
                what = (
                    'is not finite in some: lower the learning rate, the weight, or the precision of the loss'
                )
            elif not losses.any():
                what = 'is 0 in all, so it teaches nothing: look at its layer and at the settings of its loss'
            elif stage.loss.auto is None and len(total) == len(losses):
                part = np.abs(losses).mean() / np.abs(total).mean()
                if part < NEGLIGIBLE:
                    what = f"is {part:.1e} of all losses: raise its loss_weight, or take loss_weight='auto'"
            if what is not None:
                self._said.add(name)
                text = f'Stage {name}: in the last {len(losses)} steps its loss {what}.'
                print_log(text, 'current', logging.WARNING)
