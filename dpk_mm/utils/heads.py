"""What is to be known of heads: those that can be entered on the way, and those that classify pixels."""

import re
from collections.abc import Iterator, Sequence
from typing import Optional

from torch import nn

# By class and no other, as what is derived may run otherwise.
_HEADS = ('GFLHead', 'ATSSHead', 'FCOSHead', 'RetinaHead')


def find_head(model: nn.Module, side: str) -> nn.Module:
    """Find the head of a detector whose two branches, ``cls_convs`` and ``reg_convs``, can be entered.

    Args:
        model (nn.Module): The detector.
        side (str): ``'student'`` or ``'teacher'``, for the message.

    Returns:
        nn.Module: Its ``bbox_head``.

    Raises:
        ValueError: It is none of GFL's, ATSS', FCOS' and RetinaNet's, or its scores are no sigmoids.
    """
    head = getattr(model, 'bbox_head', None)
    name = f'a {type(model).__name__} without bbox_head' if head is None else type(head).__name__
    if name not in _HEADS:
        raise ValueError(f'the heads of {", ".join(_HEADS)} can be crossed; the {side} has {name}')
    if not head.use_sigmoid_cls:
        raise ValueError(f"only scores of sigmoids can be crossed, which the {side}'s {name} does not give")
    return head


def pixel_ignore_index(model: nn.Module, layer: str, shape: Sequence[int]) -> Optional[int]:
    """The label whose pixels the training of a layer leaves out, where the layer gives the logits of pixels.

    Args:
        model (nn.Module): The model.
        layer (str): The name of the layer, as a stage has it.
        shape (Sequence[int]): Of what the layer gives: (B, K, H, W).

    Returns:
        int or None: ``ignore_index`` of the head around the layer. None where that head has none, as those of
        mmseg have, or another number of classes than K.
    """
    for head in modules_around(model, layer) if len(shape) == 4 else ():
        if hasattr(head, 'ignore_index') and getattr(head, 'num_classes', None) == shape[1]:
            return head.ignore_index
    return None


def modules_around(model: nn.Module, layer: str) -> Iterator[nn.Module]:
    """The layer and the modules around it, the innermost first; not the model itself.

    Args:
        model (nn.Module): The model.
        layer (str): The name of the layer, as a stage has it.

    Yields:
        nn.Module: One of them.
    """
    names = re.split(r'[\[@]', layer)[0].split('.')
    for depth in range(len(names), 0, -1):
        yield model.get_submodule('.'.join(names[:depth]))
