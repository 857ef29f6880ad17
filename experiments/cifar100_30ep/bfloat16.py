"""bfloat16 on a CPU, which mmengine's AmpOptimWrapper refuses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Convolutions and matrix products in bfloat16, weights in float32: 1.3 to 1.6 times as fast with AVX512-BF16.

    Attention is the plain product: backward, torch's flash attention in bfloat16 takes longer than in float32.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """As upstream's, under autocast."""
        with (
            super().optim_context(model),
            torch.autocast('cpu', torch.bfloat16),
            sdpa_kernel(SDPBackend.MATH),
        ):
            yield
