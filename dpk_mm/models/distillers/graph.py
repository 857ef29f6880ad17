"""Whether a stage can teach in a step: it gets what the dry run saw, and its gradient reaches the student."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dpk_mm.utils.errors import FieldError


def check_shapes(
    name: str, layers: Sequence[str], feats: dict[str, Tensor], seen: dict[str, torch.Size], images: int
) -> None:
    """Refuse to compare what is not what the dry run saw, as a head may do something else in training.

    Args:
        name (str): Of the stage.
        layers (Sequence[str]): The layers that it reads on one side.
        feats (dict[str, Tensor]): Layer -> what it gave.
        seen (dict[str, torch.Size]): Layer -> the shape of what it gave for one image.
        images (int): B.

    Raises:
        FieldError: Another number of axes, of rows or of channels.
    """
    for layer in layers:
        shape, known = tuple(feats[layer].shape), tuple(seen[layer])
        if (len(shape), shape[:2]) != (len(known), (images, *known[1:2])):
            raise FieldError(
                f'stages.{name}',
                f': {layer} gave {shape} for a batch of {images} images, where {known} was seen '
                'for one image in the dry run. It runs on a part of the batch, or otherwise in training: '
                'take another layer.',
            )


def check_graph(name: str, layers: Sequence[str], feats: dict[str, Tensor], student: nn.Module) -> None:
    """Refuse to train with a stage from which no gradient goes into the student.

    Args:
        name (str): Of the stage.
        layers (Sequence[str]): The student's layers that it reads.
        feats (dict[str, Tensor]): Layer -> what it gave.
        student (nn.Module): The student; where all of it is frozen, nothing is checked.

    Raises:
        FieldError: What a layer gave hangs on no parameter that trains.
    """
    if not torch.is_grad_enabled():
        return
    lost = [layer for layer in layers if not feats[layer].requires_grad]
    if lost and any(parameter.requires_grad for parameter in student.parameters()):
        raise no_gradient(name, lost[0])


def no_gradient(name: str, layer: str) -> FieldError:
    """The error of a stage from which no gradient goes into the student."""
    return FieldError(
        f'stages.{name}',
        f': no gradient goes from {layer} into the student. The layer is frozen, or its backbone has '
        'with_cp=True: take a later layer, or unfreeze it. The activation_checkpointing of the runner saves '
        'the memory that with_cp does.',
    )
