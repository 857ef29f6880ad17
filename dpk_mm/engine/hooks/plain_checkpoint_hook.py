"""Checkpoints that open anywhere."""

from typing import Any

import numpy as np
import torch
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from dpk_mm.registry import HOOKS


@HOOKS.register_module()
class PlainCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, whose files hold tensors and plain Python values only.

    Since torch 2.6 files open with weights only, and mmengine's hold its log history as objects of its
    own: stock tools then refuse even stock checkpoints. This hook writes the history as plain tensors
    and, on resume, turns it back. Takes the arguments of ``CheckpointHook``; in a config::

        default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make everything beside the weights plain."""
        for part in checkpoint.keys() - {'state_dict', 'optimizer'}:
            checkpoint[part] = _plain(checkpoint[part])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn the log history back into mmengine's objects."""
        history = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, value in history.items():
            if isinstance(value, dict):
                history[name] = HistoryBuffer(
                    value['log_history'].tolist(), value['count_history'].tolist(), value['max_length']
                )


def _plain(value: Any) -> Any:
    """The same value without mmengine's and numpy's types; anything else is left as it is."""
    if isinstance(value, HistoryBuffer):
        log, count = (torch.as_tensor(np.asarray(data, dtype=np.float64)) for data in value.data)
        return dict(log_history=log, count_history=count, max_length=value.max_length)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    return torch.as_tensor(value) if isinstance(value, np.ndarray) else value
