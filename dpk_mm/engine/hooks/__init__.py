"""Hooks: what happens beside the steps of a training."""

from .channels_last_hook import ChannelsLastHook
from .plain_checkpoint_hook import PlainCheckpointHook

__all__ = [name for name in dir() if name[0].isupper()]
