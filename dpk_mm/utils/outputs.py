"""What the layers of a model give."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

from torch import Tensor, nn

from .blank import run_blank
from .probe import is_of_widths


def run_outputs(
    model: nn.Module,
    depth: int,
    input_shape: Optional[tuple[int, int]] = None,
    enough: Optional[str] = None,
    images: int = 1,
) -> dict[str, list[list[tuple[str, Tensor, int]]]]:
    """Run a model on blank images and keep what its layers give.

    Args:
        model (nn.Module): A detector or a classifier.
        depth (int): Most names in a layer's path.
        input_shape (tuple[int, int], optional): Height and width of the image; see
            :func:`run_blank`.
        enough (str, optional): A layer behind which the model may fail: a blank image is no image for every
            head.
        images (int): How many images.

    Returns:
        dict: Layer -> for each time it ran, its tensors: tap, tensor and version, which grows when the tensor
        is overwritten. In the order the layers end for the last time.
    """
    outputs: dict[str, list[list[tuple[str, Tensor, int]]]] = {}

    def keep(name: str, tensors: list[tuple[str, Tensor]]) -> None:
        run = [(tap, tensor, tensor._version) for tap, tensor in tensors]
        outputs[name] = [*outputs.pop(name, []), run]

    try:
        with watch_outputs(model, keep, depth):
            run_blank(model, input_shape, images)
    except Exception as error:  # whatever a head raises
        if enough is None or enough not in outputs or is_of_widths(error):
            raise
    return outputs


@contextmanager
def watch_outputs(
    model: nn.Module, see: Callable[[str, list[tuple[str, Tensor]]], None], depth: Optional[int] = None
) -> Iterator[None]:
    """Show what the layers of a model give, as they end.

    Args:
        model (nn.Module): Is run inside of the ``with`` block.
        see (Callable): Is called with a layer's name and its tensors, each with the tap that picks it.
        depth (int, optional): Most names in a layer's path. Defaults to any.
    """

    def hook_for(name: str) -> Any:
        return lambda module, args, output: see(name, list(_tensors(name, output)))

    handles = [
        module.register_forward_hook(hook_for(name))
        for name, module in model.named_modules()
        if name and name != 'data_preprocessor' and (depth is None or name.count('.') < depth)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(tap: str, output: Any) -> Iterator[tuple[str, Tensor]]:
    """All tensors of an output, with the taps that pick them."""
    if isinstance(output, Tensor):
        yield tap, output
    elif isinstance(output, (list, tuple)):
        for i, part in enumerate(output):
            yield from _tensors(f'{tap}[{i}]', part)
