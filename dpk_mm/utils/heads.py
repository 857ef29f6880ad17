"""Heads of detectors that can be entered on the way."""

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
