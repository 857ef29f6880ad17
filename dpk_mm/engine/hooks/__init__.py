"""Hooks: what happens beside the steps of a training."""

from .channels_last_hook import ChannelsLastHook
from .plain_checkpoint_hook import PlainCheckpointHook

__all__ = ['ChannelsLastHook', 'PlainCheckpointHook']
