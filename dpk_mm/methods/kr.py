"""KR: groups of layers."""

from mmengine.logging import print_log
from torch import nn

from dpk_mm.registry import METHODS

from .pair import Pair


def _groups(model: nn.Module) -> list[str]:
    """The stages of a backbone that are made of blocks one after another: ``'backbone.layer1.*'``, ..."""
    parts = getattr(model, 'backbone', nn.Module()).named_children()
    return [f'backbone.{name}.*' for name, part in parts if isinstance(part, nn.Sequential) and len(part) > 1]


@METHODS.register_module()
def kr(pair: Pair) -> dict:
    """KR (Liu et al., CVPR Workshops 2019; our reading): the last three stages of backbones of like names."""
    theirs = _groups(pair.teacher)
    # a layer directly below a stage, or the stage
    frozen = {name for tap in pair.frozen for name in (tap, tap.rpartition('.')[0])}
    dead = [group for group in _groups(pair.student) if group.removesuffix('.*') in frozen]
    if dead:
        print_log(f'Stages of the student with frozen blocks take no part: {", ".join(dead)}.', 'current')
    trained = [group for group in _groups(pair.student) if group not in dead]
    shared = [group for group in trained if group in theirs][-3:]
    if not shared:
        raise ValueError(
            'it compares stages of blocks that both backbones have, and that train in the student'
        )
    loss = dict(type='dpk_mm.KRLoss', temperature=1.0, threshold=0.1, l1_weight=0.1)
    return {group.split('.')[1]: dict(at=group, loss=dict(loss)) for group in shared}
