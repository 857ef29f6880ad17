"""Which layers of a model no training changes."""

import re
from typing import Any, Optional

import torch
from torch import nn

from .blank import blank_inputs, eval_without_side_effects, is_detector, predict
from .outputs import tensors_of
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

    def hook_for(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            for tap, tensor in tensors_of(name, output):
                trains[tap] = trains.get(tap, False) or tensor.requires_grad

        return hook

    handles = [module.register_forward_hook(hook_for(name)) for name, module in model.named_modules() if name]
    try:
        with eval_without_side_effects(model), torch.enable_grad():
            predict(model, *blank_inputs(model, None if is_detector(model) else input_shape))
    except Exception:  # a blank image is no image for every head: what ran until there counts
        pass
    finally:
        for handle in handles:
            handle.remove()
    return frozenset(tap for tap, learns in trains.items() if not learns)


def output_of(tap: str) -> str:
    """The output that a tap reads, in whichever run of its layer and whatever its layout."""
    return re.sub(r'@\d+', '', without_layout(tap))
