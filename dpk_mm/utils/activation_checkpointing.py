"""Activation checkpointing whose gradients are those without it."""

import inspect
from contextlib import nullcontext
from typing import Any, Callable

import torch
from mmengine.runner import activation_checkpointing
from mmengine.utils import digit_version
from torch import nn
from torch.utils.checkpoint import checkpoint


def patch_activation_checkpointing() -> None:
    """Let ``activation_checkpointing`` of mmengine's runner change nothing but memory and time.

    mmengine leaves the choice of the form to torch, which still takes the reentrant one. That loses, without
    a word, the gradients of a module whose inputs ask for none (a backbone) or come as a tuple (a neck), and
    those that go through a layer read inside of a checkpointed module. The other form, which torch
    recommends, does not. Neither keeps batch norm from counting a batch twice.

    This replaces a function of mmengine's in this process: when a model is wrapped, not by an import alone.
    """
    activation_checkpointing.checkpoint = _checkpoint


def _checkpoint(forward: Callable, *args: Any) -> Any:
    """Run a module, and again in the backward pass instead of keeping what it computed."""
    options = {}
    module = getattr(inspect.unwrap(forward), '__self__', None)  # that of a compiled function is not known
    if module is not None and digit_version(torch.__version__) >= digit_version(
        '2.1.0'
    ):  # before, batch norm counts twice
        options['context_fn'] = lambda: (nullcontext(), _statistics_kept(module))
    return checkpoint(forward, *args, use_reentrant=False, **options)


class _statistics_kept:  # noqa: N801, as it stands in a with statement
    """Leave the running statistics of batch norm, and its count of batches, as they are.

    Entered once for each backward pass, of which there are several where weights are measured.

    Args:
        module (nn.Module): With batch norms or without.
    """

    def __init__(self, module: nn.Module) -> None:
        counted = 'num_batches_tracked'
        self.norms = [part for part in module.modules() if getattr(part, counted, None) is not None]

    def __enter__(self) -> None:
        self.before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in self.norms]
        for norm in self.norms:
            norm.momentum = 0.0

    def __exit__(self, *error: Any) -> None:
        for norm, (momentum, count) in zip(self.norms, self.before):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
