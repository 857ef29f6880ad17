# PKD (Cao et al., NeurIPS 2022), RetinaNet R101 -> R50. Four levels with weight 10 are MMRazor's for
# RetinaNet; the inherited start and the clipping, which its configs do not have, are alike in all files here.
_base_ = './_base_/baselines_coco.py'

pkd = dict(type='dpk_mm.PKDLoss', loss_weight=10.0)
model = dict(stages={name: dict(at=at, loss=pkd) for name, at in _base_.levels.items() if name != 'p7'})
