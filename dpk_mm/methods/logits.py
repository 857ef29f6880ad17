"""Methods on logits: KD, DKD, LSKD, DIST, NKD, WTTM, RLD.

A segmentor has them at each pixel, which counts as an image. The published weights are for images, so there
the weights find themselves (ours, not measured for each method).
"""

from dpk_mm.registry import METHODS

from .pair import Pair

_DKD = dict(type='dpk_mm.DKDLoss', alpha=1.0, beta=8.0, temperature=4.0, warmup_epochs=0, loss_weight=1.0)


def _on_logits(pair: Pair, loss: dict) -> dict:
    if pair.logits is None:
        names = f'{type(pair.student).__name__} and {type(pair.teacher).__name__}'
        raise ValueError(f'it compares the logits of one softmax, which {names} do not both give')
    if pair.segments:
        loss = dict(loss, loss_weight='auto')
    return dict(logits=dict(pair.logits.at, loss=dict(loss)))


@METHODS.register_module()
def kd(pair: Pair) -> dict:
    """KD (Hinton et al., 2015) with T = 4 (benchmark code), beside the whole task loss (ours).

    Of pixels T is 1 (ours).
    """
    temperature = 1.0 if pair.segments else 4.0
    return _on_logits(pair, dict(type='dpk_mm.LogitsKLLoss', temperature=temperature, loss_weight=1.0))


@METHODS.register_module()
def dkd(pair: Pair) -> dict:
    """DKD (Zhao et al., CVPR 2022) with alpha 1, beta 8, T = 4, and no warm-up, as the schedule is not known.

    The weights are the authors' for ResNet-32x4 to ResNet-8x4 on CIFAR-100 (authors' code).
    """
    return _on_logits(pair, _DKD)


@METHODS.register_module()
def dist(pair: Pair) -> dict:
    """DIST (Huang et al., NeurIPS 2022) with T = 4 and weight 2, as for CIFAR-100 (authors' code)."""
    loss = dict(type='dpk_mm.DISTLoss', beta=1.0, gamma=1.0, temperature=4.0, loss_weight=2.0)
    return _on_logits(pair, loss)


@METHODS.register_module()
def lskd(pair: Pair) -> dict:
    """LSKD (Sun et al., CVPR 2024): KD of standardized logits, with T = 2 and weight 9 (paper).

    The paper has 0.1 of the task loss beside it: ``task_loss_weight`` of :class:`dpk_mm.Distiller`.
    """
    loss = dict(type='dpk_mm.LogitsKLLoss', temperature=2.0, loss_weight=9.0, standardize=True)
    return _on_logits(pair, loss)


@METHODS.register_module(name='lskd-dkd')
def lskd_dkd(pair: Pair) -> dict:
    """LSKD with DKD (Sun et al., CVPR 2024): standardized logits, T = 2 and weight 9 as LSKD with KD (ours).

    That is the step from KD's T = 4 and weight 0.9 (benchmark code) to LSKD's; the paper's numbers for DKD
    were not at hand.
    """
    return _on_logits(pair, dict(_DKD, temperature=2.0, loss_weight=9.0, standardize=True))


@METHODS.register_module()
def nkd(pair: Pair) -> dict:
    """NKD (Yang et al., ICCV 2023) with gamma 1.5 and T = 1 (paper)."""
    return _on_logits(pair, dict(type='dpk_mm.NKDLoss', gamma=1.5, temperature=1.0, loss_weight=1.0))


@METHODS.register_module()
def wttm(pair: Pair) -> dict:
    """WTTM (Zheng and Yang, ICLR 2024) with gamma 0.2 and weight 4 (authors' code).

    Its page has these for VGG13 to VGG8 beside CRD; those of other pairs were not at hand.
    """
    return _on_logits(pair, dict(type='dpk_mm.WTTMLoss', gamma=0.2, loss_weight=4.0))


@METHODS.register_module()
def rld(pair: Pair) -> dict:
    """RLD (Sun et al., ICCV 2025) with alpha 1 and T = 4 (paper, by a summary), and beta 8, as DKD has it."""
    return _on_logits(
        pair, dict(type='dpk_mm.RLDLoss', alpha=1.0, beta=8.0, temperature=4.0, loss_weight=1.0)
    )
