"""Methods on logits: KD, DKD, DIST."""

from dpk_mm.registry import METHODS

from .pair import Pair


def _on_logits(pair: Pair, loss: dict) -> dict:
    if pair.logits is None:
        names = f'{type(pair.student).__name__} and {type(pair.teacher).__name__}'
        raise ValueError(f'it compares the logits of one softmax, which {names} do not both give')
    return dict(logits=dict(pair.logits.at, loss=loss))


@METHODS.register_module()
def kd(pair: Pair) -> dict:
    """KD (Hinton et al., 2015) with T = 4 (benchmark code), beside the whole task loss (ours)."""
    return _on_logits(pair, dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=1.0))


@METHODS.register_module()
def dkd(pair: Pair) -> dict:
    """DKD (Zhao et al., CVPR 2022) with alpha 1, beta 8, T = 4, and no warm-up, as the schedule is not known.

    The weights are the authors' for ResNet-32x4 to ResNet-8x4 on CIFAR-100 (authors' code).
    """
    loss = dict(type='dpk_mm.DKDLoss', alpha=1.0, beta=8.0, temperature=4.0, warmup_epochs=0, loss_weight=1.0)
    return _on_logits(pair, loss)


@METHODS.register_module()
def dist(pair: Pair) -> dict:
    """DIST (Huang et al., NeurIPS 2022) with T = 4 and weight 2, as for CIFAR-100 (authors' code)."""
    loss = dict(type='dpk_mm.DISTLoss', beta=1.0, gamma=1.0, temperature=4.0, loss_weight=2.0)
    return _on_logits(pair, loss)
