"""The model inside of what trains it on several devices."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap(model: nn.Module) -> nn.Module:
    """Get the model inside of a wrapper such as DDP's; one that is not wrapped is given back."""
    return model.module if is_model_wrapper(model) else model
