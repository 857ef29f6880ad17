"""Reduce configs and tensors to what can be compared and kept."""

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any, Dict, Iterable, Optional, Tuple

from torch import Tensor


def plain(value: Any) -> Any:
    """Turn a config into values that JSON keeps.

    Args:
        value (Any): A config or a part of one.

    Returns:
        Any: Dicts, lists, numbers and strings. Paths below the current folder are relative to it, so that a
        moved checkout has the same configs; classes and functions are their names.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [plain(item) for item in value]
    if isinstance(value, str) and value.startswith(os.sep):
        path, here = os.path.normpath(value), os.getcwd() + os.sep
        return path[len(here) :] if path.startswith(here) else path
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return getattr(value, '__qualname__', None) or repr(value)


def _leaves(value: Any, name: str = '') -> Iterator[Tuple[str, Any]]:
    """All leaves of a plain config with their dotted names; empty fields are as good as none."""
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, f'{name}.{key}' if name else str(key))
    elif value is not None:
        yield name, value


def first_difference(old: Any, new: Any, allow: Iterable[str] = ()) -> Optional[Tuple[str, Any, Any]]:
    """Find where two plain configs differ.

    Args:
        old (Any): From :func:`plain`.
        new (Any): From :func:`plain`.
        allow (Iterable[str]): Dotted names below which they may differ.

    Returns:
        tuple or None: Name of the first field that differs, its value in ``old`` and in ``new``; None stands
        for a field that is not there.
    """
    before, after = dict(_leaves(old)), dict(_leaves(new))
    for name in {**before, **after}:
        is_allowed = any(name == field or name.startswith(f'{field}.') for field in allow)
        if before.get(name) != after.get(name) and not is_allowed:
            return name, before.get(name), after.get(name)
    return None


def digest_tensors(tensors: Dict[str, Tensor]) -> str:
    """Hash named tensors: names, types, shapes and values, whatever their place in memory.

    Args:
        tensors (dict[str, Tensor]): Of any shapes.

    Returns:
        str: Hexadecimal digits.
    """
    result = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        result.update(f'{name} {tensor.dtype} {tuple(tensor.shape)} '.encode())
        # numpy has no bfloat16
        values = tensor.detach().float() if tensor.is_floating_point() else tensor
        result.update(values.cpu().contiguous().numpy().tobytes())
    return result.hexdigest()


def digest_batch(batch: Any) -> str:
    """Hash the tensors of a batch: its images, and labels where they are plain tensors.

    Args:
        batch (Any): What the dataloader gave.

    Returns:
        str: Hexadecimal digits.
    """
    return digest_tensors(dict(_tensors(batch)))


def _tensors(value: Any, name: str = '') -> Iterator[Tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, (dict, list, tuple)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _tensors(item, f'{name}.{key}')


def digest_settings(settings: Any) -> str:
    """Hash a plain config.

    Args:
        settings (Any): From :func:`plain`.

    Returns:
        str: Twelve hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
