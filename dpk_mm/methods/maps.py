"""Methods that are one loss on maps: FitNet, AT, SP, PKD, CWD, MGD, FGD, KR."""

from collections.abc import Sequence

from dpk_mm.registry import METHODS

from .pair import Level, Pair

# Class of the student's box head, or one it is derived from -> FGD's weights: alpha_fg, beta_bg, gamma_mask,
# lambda_rela, temp. The first that fits counts.
FGD_WEIGHTS = {
    'TwoStage': (5e-5, 2.5e-5, 5e-5, 5e-7, 0.5),  # Faster R-CNN's (authors' code of FGD and DPK)
    'RTMDetHead': (1.6e-3, 8e-4, 8e-4, 8e-6, 0.5),  # as of other heads without anchors (ours)
    'YOLOXHead': (2e-3, 1e-3, 1e-3, 1e-5, 0.5),  # YOLOX-l to YOLOX-m (authors' code of FGD)
    'FCOSHead': (1.6e-3, 8e-4, 8e-4, 8e-6, 0.8),  # (authors' code of FGD)
    'RetinaHead': (2e-3, 2e-4, 3e-4, 5e-6, 0.5),  # R101 to R50 (authors' code of DPK)
    'AnchorFreeHead': (1.6e-3, 8e-4, 8e-4, 8e-6, 0.5),  # RepPoints (authors' code of FGD)
    'AnchorHead': (1e-3, 5e-4, 5e-4, 5e-6, 0.5),  # RetinaNet, GFL, ATSS (authors' code of FGD)
    'object': (5e-5, 2.5e-5, 5e-5, 5e-7, 0.5),  # any other, such as DETR's (ours, a guess)
}
_NAMES = ('alpha_fg', 'beta_bg', 'gamma_mask', 'lambda_rela', 'temp')


def need_maps(pair: Pair) -> Sequence[Level]:
    """The maps of a pair.

    Raises:
        ValueError: There are none.
    """
    if not pair.maps:
        names = f'{type(pair.student).__name__} and {type(pair.teacher).__name__}'
        raise ValueError(f'it compares maps (B, C, H, W), and {names} have none in common')
    return pair.maps


def on(levels: Sequence[Level], loss: dict) -> dict:
    """Stages with one loss on some levels."""
    return {level.name: dict(level.at, loss=dict(loss)) for level in levels}


def fgd_loss(pair: Pair) -> dict:
    """FGD's loss with the weights of :data:`FGD_WEIGHTS`.

    Raises:
        ValueError: The student is no detector.
    """
    if not pair.detects:
        raise ValueError('FGD needs the boxes of a detector')
    head = next(name for name in FGD_WEIGHTS if name in [*pair.heads, 'object'])
    return dict(type='dpk_mm.FGDLoss', **dict(zip(_NAMES, FGD_WEIGHTS[head])))


@METHODS.register_module()
def fgd(pair: Pair) -> dict:
    """FGD (Yang et al., CVPR 2022) on all levels, with weights by the head (:data:`FGD_WEIGHTS`)."""
    return on(need_maps(pair), fgd_loss(pair))


@METHODS.register_module()
def pkd(pair: Pair) -> dict:
    """PKD (Cao et al., NeurIPS 2022) on all levels of a detector, on the last map of a classifier.

    The weight 3 led a search on blood cells (ours). The authors have 10 for RetinaNet, 6 for two stages.
    """
    levels = need_maps(pair) if pair.detects else need_maps(pair)[-1:]
    return on(levels, dict(type='dpk_mm.PKDLoss', loss_weight=3.0))


@METHODS.register_module()
def cwd(pair: Pair) -> dict:
    """CWD (Shu et al., ICCV 2021) on all levels of a detector, on the last map of a classifier.

    T = 1 and weight 10 are those for RetinaNet (benchmark code).
    """
    levels = need_maps(pair) if pair.detects else need_maps(pair)[-1:]
    return on(levels, dict(type='dpk_mm.CWDLoss', temperature=1.0, loss_weight=10.0))


@METHODS.register_module()
def mgd(pair: Pair) -> dict:
    """MGD (Yang et al., ECCV 2022): positions of all levels, or channels of a classifier's last map.

    Shares and weights are those of one stage, of two stages and of ImageNet (authors' code).
    """
    if not pair.detects:
        loss = dict(type='dpk_mm.MGDLoss', mask='channels', mask_ratio=0.15, loss_weight=7e-5)
        return on(need_maps(pair)[-1:], loss)
    ratio, weight = (0.45, 5e-7) if 'TwoStage' in pair.heads else (0.65, 2e-5)
    loss = dict(type='dpk_mm.MGDLoss', mask='positions', mask_ratio=ratio, loss_weight=weight)
    return on(need_maps(pair), loss)


@METHODS.register_module()
def fitnet(pair: Pair) -> dict:
    """FitNet (Romero et al., ICLR 2015): squared error, of a classifier on the last two maps.

    On CIFAR-100 the weight is 100 on one map in the middle (benchmark code). Two maps with 100 and 60 led a
    search there (ours). For detectors there is no usual weight; 1 is untuned (ours).
    """
    mse = dict(type='dpk_mm.FeatureMSELoss', loss_weight=1.0)
    if pair.detects:
        return on(need_maps(pair), mse)
    weights = (60.0, 100.0)[-len(need_maps(pair)) :]
    return {
        name: dict(stage, loss=dict(mse, loss_weight=weight))
        for (name, stage), weight in zip(on(pair.maps[-2:], mse).items(), weights)
    }


@METHODS.register_module()
def at(pair: Pair) -> dict:
    """AT (Zagoruyko and Komodakis, ICLR 2017): all levels, or the last three maps.

    The weight is 1000 (benchmark code).
    """
    levels = need_maps(pair) if pair.detects else need_maps(pair)[-3:]
    return on(levels, dict(type='dpk_mm.ATLoss', loss_weight=1000.0))


@METHODS.register_module()
def sp(pair: Pair) -> dict:
    """SP (Tung and Mori, ICCV 2019) on the last map of a classifier with weight 3000 (benchmark code)."""
    if pair.detects:
        raise ValueError('SP compares the images of a batch, of which a detector has too few')
    return on(need_maps(pair)[-1:], dict(type='dpk_mm.SPLoss', loss_weight=3000.0))
