"""The statistics that norms keep."""

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


def norm_statistics(model: nn.Module) -> dict[str, Tensor]:
    """Name -> running mean, running variance and count of batches, of all batch and instance norms."""
    return {
        f'{name}.{key}'.lstrip('.'): value
        for name, module in model.named_modules()
        if isinstance(module, _NormBase)
        for key, value in module.named_buffers()
    }
