"""Log histories as tensors and plain values, which torch opens with weights only."""

import inspect
import io
import pickle
import re
from typing import Any, Optional

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub


class PlainMessageHub(MessageHub):
    """mmengine's hub of logged values, whose state is plain, whatever hook saves it.

    Since torch 2.6 files open with weights only. Stock tools then refuse a stock checkpoint, as its log
    history is made of mmengine's own objects.
    """

    def state_dict(self) -> dict:
        """The state with tensors and plain values only."""
        return plain(super().state_dict())

    def load_state_dict(self, state_dict: Any) -> None:
        """Load a state of this class or of mmengine's."""
        if isinstance(state_dict, dict) and 'log_scalars' in state_dict:
            state_dict = dict(state_dict, log_scalars=histories(state_dict['log_scalars']))
        super().load_state_dict(state_dict)


def save_plain_history() -> None:
    """Make the hub of this process's training a :class:`PlainMessageHub`."""
    hub = MessageHub.get_current_instance()
    if type(hub) is MessageHub:
        hub.__class__ = PlainMessageHub


def plain(value: Any) -> Any:
    """The same value without mmengine's and numpy's types.

    A function in a dict is left out: the schedule of ``OneCycleLR`` keeps one in its state, and has its own
    when it is resumed. Anything else is left as it is.
    """
    if isinstance(value, HistoryBuffer):
        log, count = (torch.as_tensor(np.asarray(data, dtype=np.float64)) for data in value.data)
        return dict(log_history=log, count_history=count, max_length=value.max_length)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if not inspect.isroutine(item)}
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    return torch.as_tensor(value) if isinstance(value, np.ndarray) else value


def find_problem(value: Any) -> Optional[str]:
    """Say what keeps torch from opening a value with weights only; None where nothing does."""
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    try:
        torch.load(file, weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r'GLOBAL (\S+)', str(error))
        return named[1] if named else str(error).splitlines()[0]
    return None


def histories(values: dict) -> dict:
    """Mmengine's objects again of what :func:`plain` made of them; anything else is left as it is.

    Raises:
        ValueError: A value is a dict and holds no history.
    """
    return {
        name: _history(name, value) if isinstance(value, dict) else value for name, value in values.items()
    }


def _history(name: str, value: dict) -> HistoryBuffer:
    try:
        log, count = (value[f'{part}_history'].tolist() for part in ('log', 'count'))
        return HistoryBuffer(log, count, int(value['max_length']))
    except Exception as error:  # whatever a damaged one leads to
        raise ValueError(f'the checkpoint holds no history of {name!r}: {error!r}') from error
