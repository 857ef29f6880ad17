"""Strategies: how a training is spread over GPUs."""

from .fsdp_strategy import FSDPStrategy

__all__ = [name for name in dir() if name[0].isupper()]
