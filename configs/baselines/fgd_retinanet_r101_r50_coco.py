# FGD (Yang et al., CVPR 2022), RetinaNet R101 -> R50: no necks, no prior. The weights are FGD's own for this
# pair, which DPK's authors changed.
_base_ = './_base_/baselines_coco.py'

model = dict(
    stages={name: dict(at=at, loss=_base_.dpk.fgd_anchor_based) for name, at in _base_.levels.items()},
)
