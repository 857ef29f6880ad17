"""Whether a stage can teach: its gradient must reach the student."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def check_graph(name: str, layers: Sequence[str], feats: dict[str, Tensor], student: nn.Module) -> None:
    """Refuse to train with a stage from which no gradient goes into the student.

    Args:
        name (str): Of the stage.
        layers (Sequence[str]): The student's layers that it reads.
        feats (dict[str, Tensor]): Layer -> what it gave.
        student (nn.Module): The student; where all of it is frozen, nothing is checked.

    Raises:
        ValueError: What a layer gave hangs on no parameter that trains.
    """
    if not torch.is_grad_enabled():
        return
    lost = [layer for layer in layers if not feats[layer].requires_grad]
    if lost and any(parameter.requires_grad for parameter in student.parameters()):
        raise ValueError(
            f'stages.{name}: no gradient goes from {lost[0]} into the student. The layer is frozen, or its '
            'backbone has with_cp=True: take a later layer, or unfreeze it. The activation_checkpointing of '
            'the runner saves the memory that with_cp does.'
        )
