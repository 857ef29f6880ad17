"""Compile a teacher, and still read its layers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def check_compile_options(options: dict, field: str) -> None:
    """Check options of ``torch.compile``, which compiles nothing yet.

    Raises:
        ValueError: torch does not take them; names the field.
    """
    try:
        torch.compile(nn.Identity(), **options)
    except Exception as error:  # of many kinds, some of them torch's own
        raise ValueError(f'{field}={options!r}: torch.compile says: {error}') from error


def compile_around(model: nn.Module, taps: Sequence[str], prefix: str = '', **options: Any) -> None:
    """Compile the largest parts of a model that no tap lies inside of, in place.

    Taps are hooks that come and go with every step; inside of compiled code they would not be heard. So what
    is compiled is never more than a layer that is read itself, or one beside it.

    Args:
        model (nn.Module): The model.
        taps (Sequence[str]): Names of layers, see :func:`dpk_mm.utils.check_tap`.
        prefix (str): Of the model's own layers in those names. Defaults to none.
        options (Any): Of ``torch.compile``.
    """
    for name, child in model.named_children():
        path = f'{prefix}{name}.'
        if isinstance(child, (nn.ModuleList, nn.ModuleDict)) or any(tap.startswith(path) for tap in taps):
            compile_around(child, taps, path, **options)
        elif any(True for _ in child.children()):  # one layer alone has nothing to be fused with
            # not child.compile(), which would take the hooks of the child itself in
            child.forward = torch.compile(child.forward, **options)
