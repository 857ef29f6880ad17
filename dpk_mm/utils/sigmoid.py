"""Whether a head is trained by a softmax over its classes or by a sigmoid for each."""

from typing import Optional

from torch import nn

from .heads import modules_around

# losses that do not say use_sigmoid
_BY_NAME = ('BCE', 'Binary', 'MultiLabel', 'Asymmetric', 'Focal')


def sigmoid_loss(model: nn.Module, layer: str) -> Optional[str]:
    """The loss that trains the logits of a layer by a sigmoid for each class.

    Args:
        model (nn.Module): A classifier or a segmentor.
        layer (str): The name of the layer, which may end in ``[i]``.

    Returns:
        str or None: The class of the loss of the innermost head around the layer; None where it is a
        softmax, or not known.
    """
    for head in modules_around(model, layer):
        losses = [child for child in head.children() if type(_first(child)).__name__.endswith('Loss')]
        if losses:
            return next((type(_first(loss)).__name__ for loss in losses if _is_sigmoid(loss)), None)
    return None


def _first(loss: nn.Module) -> nn.Module:
    """The first of several losses of one prediction, as mmseg's heads have them, or the only one."""
    return loss[0] if isinstance(loss, nn.ModuleList) and len(loss) else loss


def _is_sigmoid(loss: nn.Module) -> bool:
    if isinstance(loss, nn.ModuleList):
        return all(map(_is_sigmoid, loss))  # a softmax among them makes logits of the classes
    # that of a LabelSmoothLoss lies inside of it
    said = [part.use_sigmoid for part in loss.modules() if hasattr(part, 'use_sigmoid')]
    return any(said) if said else any(word in type(loss).__name__ for word in _BY_NAME)
