"""Hooks and optimizer constructors: where the registries of ``dpk_mm.registry`` look for them."""

from .plain_checkpoint_hook import PlainCheckpointHook

__all__ = ['PlainCheckpointHook']
