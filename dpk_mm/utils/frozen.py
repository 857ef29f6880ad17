"""Which layers of a model no training changes."""

import re
from contextlib import suppress
from typing import Optional

import torch
from torch import Tensor, nn

from .blank import blank_inputs, eval_without_side_effects, is_detector, predict
from .outputs import watch_outputs
from .token_maps import without_layout


def frozen_taps(model: nn.Module, input_shape: Optional[tuple[int, int]] = None) -> frozenset[str]:
    """Find the outputs that hang on no parameter that trains, as of the first stages of a backbone.

    Args:
        model (nn.Module): The model.
        input_shape (tuple[int, int], optional): See :func:`blank_shape`; detectors see their usual one.

    Returns:
        frozenset[str]: Names of layers, with an index where a layer gives several outputs. None of a model
        that trains, or is frozen, as a whole.
    """
    if len({one.requires_grad for one in model.parameters()}) < 2:
        return frozenset()
    trains: dict[str, bool] = {}

    def see(name: str, tensors: list[tuple[str, Tensor]]) -> None:
        for tap, tensor in tensors:
            trains[tap] = trains.get(tap, False) or tensor.requires_grad

    images = blank_inputs(model, None if is_detector(model) else input_shape)
    # a blank image is no image for every head: what ran until there counts
    with (
        suppress(Exception),
        watch_outputs(model, see),
        eval_without_side_effects(model),
        torch.enable_grad(),
    ):
        predict(model, *images)
    return frozenset(tap for tap, learns in trains.items() if not learns)


def output_of(tap: str) -> str:
    """The output that a tap reads, in whichever run of its layer and whatever its layout."""
    return re.sub(r'@\d+', '', without_layout(tap))
