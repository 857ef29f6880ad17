# CWD (Shu et al., ICCV 2021), RetinaNet R101 -> R50. T = 1 and weight 10 are MMRazor's for this pair; the
# inherited start, the clipping and 24 epochs instead of 12 are alike in all files here.
_base_ = './_base_/baselines_coco.py'

cwd = dict(type='dpk_mm.CWDLoss', temperature=1.0, loss_weight=10.0)
model = dict(stages={name: dict(at=at, loss=cwd) for name, at in _base_.levels.items()})
