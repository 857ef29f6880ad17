"""The control of all methods: what the inherited start alone brings."""

from dpk_mm.registry import METHODS

from .pair import Pair


@METHODS.register_module()
def start(pair: Pair) -> dict:
    """Nothing is distilled: the student inherits the teacher's neck and head, and trains alone."""
    if not pair.detects:
        raise ValueError('only a detector inherits from its teacher')
    return {}
