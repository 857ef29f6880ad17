"""Taps: read the output of any layer of any model while it runs, by the layer's name."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

from .token_maps import LAYOUT, to_map

# torch 2.0 has no such function; what it compiles is not told apart
is_compiling = getattr(getattr(torch, 'compiler', None), 'is_compiling', bool)
_TAP = re.compile(
    r'^(?P<path>[\w.]+?)(@(?P<run>\d+))?(?P<indices>(\[-?\d+\])*)'
    rf'(\[(?P<layout>{LAYOUT})\])?$'
)


class TapError(ValueError):
    """A layer that cannot be read.

    Attributes:
        tap (str): Its name, as the user gave it.
    """

    def __init__(self, tap: str, message: str) -> None:
        super().__init__(message)
        self.tap = tap


class _AllRecorded(Exception):
    """Leaves a forward pass whose remainder nobody needs."""


def check_tap(model: nn.Module, at: str, field: str = 'at') -> None:
    """Check that ``at`` names a layer of ``model``.

    Args:
        model (nn.Module): The model to be tapped.
        at (str): Dotted module path; ``[i]`` picks from a tuple output, e.g. ``'neck[3]'``. ``@i`` is a run,
            from 0, of a layer with several, e.g. ``'bbox_head.cls_convs.0@2'`` of the third level.
            ``[channels_last]`` or ``[tokens/P+K]`` at its end makes a map; see :func:`to_map`.
        field (str): What the user calls it in their own config; named in errors.

    Raises:
        ValueError: Bad syntax, or no such layer; offers names that exist.
    """
    path = _parse(at, field)[0]
    names = [name for name, _ in model.named_modules(remove_duplicate=False) if name]
    if path in names:
        return
    parent = path
    while '.' in parent and parent not in names:
        parent = parent.rpartition('.')[0]
    prefix = f'{parent}.' if parent in names else ''
    siblings = [n for n in names if n.startswith(prefix) and '.' not in n[len(prefix) :]]
    offered = difflib.get_close_matches(path, names, n=3, cutoff=0.5) or siblings[:12]
    raise ValueError(
        f'{field}={at!r}: {type(model).__name__} has no layer {path!r}. '
        f'Near it: {", ".join(offered)}. At its top: '
        f'{", ".join(name for name, _ in model.named_children())}.'
    )


def find_taps(
    model: nn.Module, at: Union[str, Sequence[str]], field: str = 'at'
) -> Union[str, tuple[str, ...]]:
    """Check what names one layer of ``model``, or a group of them.

    Args:
        model (nn.Module): The model to be tapped.
        at (str or Sequence[str]): A layer as in :func:`check_tap`, or a group: a list of layers, or e.g.
            ``'backbone.layer1.*'`` for all that lie directly below one.
        field (str): What the user calls it in their own config; named in errors.

    Returns:
        str or tuple[str, ...]: The layer, or those of the group.

    Raises:
        ValueError: As :func:`check_tap`; a group that is empty or names a layer twice.
    """
    if isinstance(at, (list, tuple)):
        for i, layer in enumerate(at):
            check_tap(model, layer, f'{field}[{i}]')
        if not at or len(set(at)) < len(at):
            raise ValueError(f'{field}={at!r}: a group needs one layer or more, each once.')
        return tuple(at)
    if not isinstance(at, str) or not at.endswith('.*'):
        check_tap(model, at, field)
        return at
    parent = at.removesuffix('.*')
    check_tap(model, parent, field)
    modules = dict(model.named_modules(remove_duplicate=False))
    layers = [f'{parent}.{name}' for name, _ in modules[parent].named_children()] if parent in modules else []
    if not layers:
        raise ValueError(f'{field}={at!r}: {type(model).__name__} has no layers below {parent!r}.')
    return tuple(layers)


@contextmanager
def record(model: nn.Module, taps: Sequence[str], stop_early: bool = False) -> Iterator[dict[str, Tensor]]:
    """Record what the layers named by ``taps`` give while ``model`` runs inside the ``with`` block.

    Hooks live only as long as the block, so a model that is copied, compiled or saved carries none.

    Args:
        model (nn.Module): The model that will run.
        taps (Sequence[str]): As in :func:`check_tap`.
        stop_early (bool): End the block as soon as all taps are filled: what the model would compute
            after them is not computed, and its result is lost.

    Yields:
        dict[str, Tensor]: Filled by the time the block ends: tap -> feature map, as the layer gave it
        (with its graph).

    Raises:
        TapError: A tapped layer did not run, not as often as ``@i`` says, or more than once where no ``@i``
            says which run is meant; its output is overwritten by a layer after it; ``[i]`` or the layout does
            not fit the output, or what ``[i]`` picks is no tensor.
    """
    wanted: dict[str, list[tuple[str, Optional[int], tuple[int, ...], Optional[str]]]] = {}
    for tap in dict.fromkeys(taps):
        path, *rest = _parse(tap)
        wanted.setdefault(path, []).append((tap, *rest))
    runs = dict.fromkeys(wanted, 0)
    features: dict[str, Tensor] = {}
    versions: dict[str, int] = {}
    image: list[int] = []
    handles = []

    def look_at_image(module: nn.Module, args: Any, kwargs: Any) -> None:
        image[:] = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)).shape[-2:]

    def hook_for(path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            current, runs[path] = runs[path], runs[path] + 1
            for tap, run, indices, layout in wanted[path]:
                if run not in (None, current):
                    continue
                if tap in features:
                    raise TapError(
                        tap,
                        f'layer {path!r} ran more than once in one forward pass of '
                        f'{type(model).__name__}: tap a layer that runs once, or say which run, {path}@0.',
                    )
                features[tap] = _pick(output, indices, tap)
                if layout is not None:
                    features[tap] = _as_map(features[tap], layout, image, tap)
                if not is_compiling():
                    versions[tap] = features[tap]._version
            if stop_early and len(features) == len(set(taps)):
                raise _AllRecorded

        return hook

    try:
        if any(layout for picks in wanted.values() for *_, layout in picks):
            handles.append(model.register_forward_pre_hook(look_at_image, with_kwargs=True))
        for path in wanted:
            handles.append(model.get_submodule(path).register_forward_hook(hook_for(path)))
        yield features
    except _AllRecorded:
        pass
    finally:
        for handle in handles:
            handle.remove()
    for tap, version in versions.items():
        # compiled code counts in its own way; there, the dry run at build time has to do
        if not is_compiling() and features[tap]._version != version:
            raise TapError(tap, f'{tap!r} is overwritten in place by a later layer: tap that layer.')
    idle = [tap for tap in taps if tap not in features]
    if idle:
        names = ', '.join(map(repr, idle))
        raise TapError(idle[0], f'{names} did not run in the forward pass of {type(model).__name__}.')


def _parse(at: str, field: str = 'at') -> tuple[str, Optional[int], tuple[int, ...], Optional[str]]:
    """The layer's path, which of its runs, what to pick from its output, and the layout of that."""
    match = _TAP.match(at) if isinstance(at, str) else None
    if match is None:
        raise ValueError(
            f"{field}={at!r}: expected a layer's name such as 'backbone.layer4', 'neck[3]' or, of tokens and "
            "their patch, 'backbone.ln1[tokens/14+1]'."
        )
    run = None if match['run'] is None else int(match['run'])
    indices = tuple(int(i) for i in re.findall(r'-?\d+', match['indices']))
    return match['path'], run, indices, match['layout']


def _pick(output: Any, indices: tuple[int, ...], tap: str) -> Tensor:
    for index in indices:
        if not isinstance(output, (tuple, list)) or not -len(output) <= index < len(output):
            kind = f'{len(output)} outputs' if isinstance(output, (tuple, list)) else 'one output'
            raise TapError(tap, f'{tap!r}: the layer gives {kind}, so there is no [{index}].')
        output = output[index]
    if not isinstance(output, Tensor):
        kind = type(output).__name__
        hint = f' of {len(output)}: pick one, {tap}[0]' if isinstance(output, (tuple, list)) else ''
        raise TapError(tap, f'{tap!r}: a tensor is needed, the layer gives a {kind}{hint}.')
    if not output.is_floating_point() or output.layout != torch.strided:
        kind = f'{output.dtype}, {output.layout}'.replace('torch.', '')
        raise TapError(tap, f'{tap!r}: real numbers in a dense tensor are needed, the layer gives {kind}.')
    return output


def _as_map(output: Tensor, layout: str, image: Sequence[int], tap: str) -> Tensor:
    try:
        return to_map(output, layout, image)
    except ValueError as error:
        raise TapError(tap, f'{tap!r}: the layer {error}.') from error
