"""Hooks and optimizer constructors: where the registries of ``dpk_mm.registry`` look for them."""

from .channels_last_hook import ChannelsLastHook
from .distill_optim_wrapper_constructor import DistillOptimWrapperConstructor
from .fsdp_strategy import FSDPStrategy
from .joint_optim_wrapper import JointOptimWrapper
from .plain_checkpoint_hook import PlainCheckpointHook

__all__ = [
    'ChannelsLastHook',
    'DistillOptimWrapperConstructor',
    'FSDPStrategy',
    'JointOptimWrapper',
    'PlainCheckpointHook',
]
