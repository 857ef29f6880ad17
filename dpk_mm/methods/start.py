"""The control of all methods: what the inherited start alone brings."""

from dpk_mm.registry import METHODS
from dpk_mm.utils import is_detector

from .pair import Pair


@METHODS.register_module()
def start(pair: Pair) -> dict:
    """Nothing is distilled: the student inherits the teacher's neck and head, and trains alone."""
    if not pair.detects or not is_detector(pair.teacher):
        raise ValueError('only a detector inherits, and from a detector')
    return {}
