"""DPK: which levels get a neck, of which sizes, and which loss."""

from collections.abc import Callable

from dpk_mm.registry import METHODS

from .logits import kd
from .maps import fgd_weights, need_maps, on
from .pair import Level, Pair

# A neck's attention costs the square of its tokens: the smallest patch that leaves no more is taken.
MOST_TOKENS = 300
# A map of fewer positions is too small for a neck.
LEAST_POSITIONS = 16
# A level of a detector with a smaller stride has no neck (authors' code: P3 of one stage, P2 and P3 of two).
LEAST_STRIDE = 16
# Stride of a detector's level -> widths of encoder and decoder (authors' code); coarser levels are as 64.
PAPER_WIDTHS = {16: (512, 1024), 32: (256, 512), 64: (256, 256)}


def patch_size(level: Level) -> int:
    """The smallest power of two that leaves at most :data:`MOST_TOKENS` tokens of a level's map."""
    patch = 1
    while -(-level.size[0] // patch) * -(-level.size[1] // patch) > MOST_TOKENS:
        patch *= 2
    return patch


def _has_neck(pair: Pair, level: Level) -> bool:
    large = level.size[0] * level.size[1] >= LEAST_POSITIONS
    return large and (not pair.detects or level.stride >= LEAST_STRIDE)


def _prior(pair: Pair) -> dict:
    """CKA over images; in detectors and segmentors, whose batches are too small, over positions (ours)."""
    if pair.is_dense:
        return dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.15, cap=0.85, fallback=0.5)
    return dict(type='dpk_mm.CKAPrior', samples='images', floor=0.15, cap=0.95, fallback=0.9)


def _with_necks(pair: Pair, stages: dict, neck: Callable[[Level], dict]) -> dict:
    for level in need_maps(pair):
        if level.name in stages and _has_neck(pair, level):
            sizes = dict(patch_size=patch_size(level), **neck(level))
            stages[level.name].update(neck=dict(type='dpk_mm.FeatureMixingNeck', **sizes), prior=_prior(pair))
    return stages


@METHODS.register_module()
def dpk(pair: Pair) -> dict:
    """DPK (Qiu et al., ICLR 2023) with what led on real data: lean necks, PKD's loss in detectors (ours).

    A detector has PKD's loss on all levels and a neck on those of stride 16 and more. A classifier has
    squared error on the last two maps, through residual necks where the widths agree, beside KD. A segmentor
    has PKD's loss on the last two maps, beside KD of each pixel (not measured against others). The weights on
    maps find themselves.
    """
    stages = on(need_maps(pair, last=2), 'PKDLoss' if pair.is_dense else 'FeatureMSELoss')

    def lean(level: Level) -> dict:
        residual = not pair.is_dense and level.student_channels == level.teacher_channels
        return dict(preset='lean', residual=residual)

    logits = kd(pair) if pair.logits else {}
    return {**_with_necks(pair, stages, lean), **logits}


@METHODS.register_module(name='dpk-paper')
def dpk_paper(pair: Pair) -> dict:
    """DPK (Qiu et al., ICLR 2023) with the sizes, losses and weights of the authors' code.

    Of classifiers the authors chose sizes for each pair, which ``configs/dpk`` states. Here they follow
    ResNet-34 to ResNet-18: as wide as the maps, to 640 and 1024 at most (ours).
    """

    def detector(level: Level) -> dict:
        encoder, decoder = PAPER_WIDTHS[min(max(level.stride, 16), 64)]
        return dict(min_teacher_tokens=40, encoder=_vit(encoder, 4), decoder=_vit(decoder, 4))

    def classifier(level: Level) -> dict:
        encoder, decoder = min(level.student_channels, 640), min(level.teacher_channels, 1024)
        return dict(encoder=_vit(encoder, 6), decoder=_vit(decoder, 4))

    if pair.detects:
        return _with_necks(
            pair, on(need_maps(pair), 'FGDLoss', loss_weight=1.0, **fgd_weights(pair)), detector
        )
    stages = on(need_maps(pair, last=2), 'FeatureMSELoss', loss_weight=0.3)
    if len(stages) == 2:
        next(iter(stages.values()))['loss']['loss_weight'] = 0.18
    logits = kd(pair) if pair.logits else {}
    if logits:
        logits['logits']['loss'].update(temperature=1.0)
    return {**_with_necks(pair, stages, classifier), **logits}


def _vit(width: int, layers: int) -> dict:
    """Sizes of a transformer: eight heads, or as many as halve the width to an even one."""
    heads = next(heads for heads in (8, 4, 2, 1) if width % heads == 0)
    return dict(embed_dims=width, num_layers=layers, num_heads=heads)
