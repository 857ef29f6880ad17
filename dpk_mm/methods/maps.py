"""Methods that are one loss on maps: FitNet, AT, SP, PKD, CWD, MGD, FGD, WKD-F, spatial cosine, score-MSE.

Their weights find themselves (ours, measured in docs/results/auto_weight.md). The docstrings name the
published ones, which ``loss_weight`` of :class:`dpk_mm.Distiller` takes.
"""

import re
from collections.abc import Sequence
from typing import Any, Optional

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


def need_maps(pair: Pair, last: Optional[int] = None) -> Sequence[Level]:
    """The maps of a pair.

    Args:
        pair (Pair): Student and teacher.
        last (int, optional): How many to take where the pair detects nothing, from the last one on. By
            default all are taken.

    Returns:
        Sequence[Level]: At least one.

    Raises:
        ValueError: There are none.
    """
    if not pair.maps:
        names = f'{type(pair.student).__name__} and {type(pair.teacher).__name__}'
        why = f': {pair.problems[0]}' if pair.problems else ''
        raise ValueError(f'it compares maps (B, C, H, W), and {names} have none in common{why}')
    return pair.maps if pair.detects or last is None else pair.maps[-last:]


def on(levels: Sequence[Level], type: str, **settings: Any) -> dict:
    """Stages with one loss on some levels; the weight finds itself where ``settings`` have none."""
    loss = dict(type=f'dpk_mm.{type}', **{'loss_weight': 'auto', **settings})
    return {level.name: dict(level.at, loss=dict(loss)) for level in levels}


def fgd_weights(pair: Pair) -> dict:
    """The weights of FGD's four parts, by :data:`FGD_WEIGHTS`.

    Raises:
        ValueError: The student is no detector.
    """
    if not pair.detects:
        raise ValueError('FGD needs the boxes of a detector')
    head = next(name for name in FGD_WEIGHTS if name in pair.heads)
    return dict(zip(_NAMES, FGD_WEIGHTS[head]))


@METHODS.register_module()
def fgd(pair: Pair) -> dict:
    """FGD (Yang et al., CVPR 2022) on all levels, parts by the head (:data:`FGD_WEIGHTS`). Published is 1."""
    return on(need_maps(pair), 'FGDLoss', **fgd_weights(pair))


@METHODS.register_module()
def pkd(pair: Pair) -> dict:
    """PKD (Cao et al., NeurIPS 2022) on all levels of a detector, on the last map of a classifier.

    Published are 10 for RetinaNet and 6 for Faster R-CNN (benchmark code).
    """
    return on(need_maps(pair, last=1), 'PKDLoss')


@METHODS.register_module()
def cwd(pair: Pair) -> dict:
    """CWD (Shu et al., ICCV 2021) on all levels of a detector, on the last map of a classifier.

    Of a segmentor it is on the logits. T = 1, and published weights of 10 and 5, are those for RetinaNet and
    PSPNet (benchmark code).
    """
    if pair.segments and pair.logits:
        return on([pair.logits], 'CWDLoss', temperature=1.0)
    return on(need_maps(pair, last=1), 'CWDLoss', temperature=1.0)


@METHODS.register_module()
def mgd(pair: Pair) -> dict:
    """MGD (Yang et al., ECCV 2022): positions of all levels, or channels of a classifier's last map.

    Of a segmentor they are positions of the last map. How much is hidden is that of one stage, of two stages,
    of ImageNet and of Cityscapes. Published are 2e-5, 5e-7, 7e-5 and 2e-5 (authors' code).
    """
    if pair.segments:
        return on(need_maps(pair, last=1), 'MGDLoss', mask='positions', mask_ratio=0.75)
    if not pair.detects:
        return on(need_maps(pair, last=1), 'MGDLoss', mask='channels', mask_ratio=0.15)
    ratio = 0.45 if 'TwoStage' in pair.heads else 0.65
    return on(need_maps(pair), 'MGDLoss', mask='positions', mask_ratio=ratio)


@METHODS.register_module()
def fitnet(pair: Pair) -> dict:
    """FitNet (Romero et al., ICLR 2015): squared error on all levels, or on a classifier's last two maps.

    On CIFAR-100 a weight of 100 on one map in the middle is published (benchmark code), for detectors none.
    """
    return on(need_maps(pair, last=2), 'FeatureMSELoss')


@METHODS.register_module()
def at(pair: Pair) -> dict:
    """AT (Zagoruyko and Komodakis, ICLR 2017): all levels, or the last three maps.

    Published is 1000 (benchmark code).
    """
    return on(need_maps(pair, last=3), 'ATLoss')


@METHODS.register_module()
def sp(pair: Pair) -> dict:
    """SP (Tung and Mori, ICCV 2019) on the last map of a classifier. Published is 3000 (benchmark code)."""
    if pair.is_dense:
        kind = 'detector' if pair.detects else 'segmentor'
        raise ValueError(f'SP compares the images of a batch, of which a {kind} has too few')
    return on(need_maps(pair, last=1), 'SPLoss')


@METHODS.register_module(name='wkd-f')
def wkdf(pair: Pair) -> dict:
    """WKD-F (Lv et al., NeurIPS 2024) on all levels of a detector, on the last map of a classifier.

    The published weights were not at hand.
    """
    return on(need_maps(pair, last=1), 'WKDFLoss')


@METHODS.register_module(name='spatial-cosine')
def spatial_cosine(pair: Pair) -> dict:
    """Spatial cosine (RT-DETRv4) on all levels of a detector (ours), on the last map of a classifier."""
    return on(need_maps(pair, last=1), 'SpatialCosineLoss')


@METHODS.register_module(name='score-mse')
def score_mse(pair: Pair) -> dict:
    """Score-weighted squared error (ultralytics, 2026) on all levels, for one-stage heads with sigmoids.

    Ultralytics' weight was not at hand.
    """
    levels, head = need_maps(pair), getattr(pair.teacher, 'bbox_head', None)
    # TOOD's head gives probabilities
    if not getattr(head, 'use_sigmoid_cls', False) or type(head).__name__ == 'TOODHead':
        raise ValueError('it needs the class scores that a bbox_head with sigmoids gives at each position')
    stages = on(levels, 'ScoreWeightedMSELoss')
    for level in levels:
        # the first output of a head are the scores of all levels
        scores = re.sub(r'^[^\[]*', 'bbox_head[0]', level.teacher_at)
        stages[level.name] = dict(
            student_at=[level.student_at],
            teacher_at=[level.teacher_at, scores],
            loss=stages[level.name]['loss'],
        )
    return stages
