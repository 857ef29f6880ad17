"""Which layers of a model no training changes."""

from typing import Any, Optional

from torch import nn

from .blank import run_blank


def frozen_layers(model: nn.Module, input_shape: Optional[tuple[int, int]] = None) -> frozenset[str]:
    """Find the layers whose output hangs on no parameter that trains, such as the first stages of a backbone.

    What ran before a layer counts as what it hangs on: a frozen branch that runs after one that trains is not
    found.

    Args:
        model (nn.Module): The model.
        input_shape (tuple[int, int], optional): See :func:`blank_shape`.

    Returns:
        frozenset[str]: Names of modules. None of a model that trains, or is frozen, as a whole.
    """
    trains = {name for name, one in model.named_parameters() if one.requires_grad}
    if len(trains) in (0, sum(1 for _ in model.parameters())):
        return frozenset()
    # what a module holds itself, such as a ViT's token of the class, may enter before any of its parts
    direct = {name.rpartition('.')[0] for name in trains}
    ends: list[tuple[str, bool]] = []

    def hook_for(name: str, module: nn.Module) -> Any:
        parents = {'', *(name[:i] for i, letter in enumerate(name) if letter == '.')}
        learns = bool(parents & direct) or any(one.requires_grad for one in module.parameters())

        def hook(*args: Any) -> None:
            ends.append((name, learns))

        return hook

    handles = [
        module.register_forward_hook(hook_for(name, module)) for name, module in model.named_modules() if name
    ]
    try:
        run_blank(model, input_shape)
    except Exception:  # a blank image is no image for every head: what ran until there counts
        pass
    finally:
        for handle in handles:
            handle.remove()
    first = next((i for i, (_, learns) in enumerate(ends) if learns), len(ends))
    return frozenset(name for name, _ in ends[:first]) - {name for name, _ in ends[first:]}


def layer_of(tap: str) -> str:
    """The module whose output a tap reads."""
    return tap.partition('[')[0].partition('@')[0]
