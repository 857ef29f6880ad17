# Spatial cosine (as of RT-DETRv4), RetinaNet R101 -> R50: all levels of the neck. There is no usual weight
# for it, so the weights find themselves.
_base_ = './_base_/baselines_coco.py'

cosine = dict(type='dpk_mm.SpatialCosineLoss', loss_weight='auto')
model = dict(stages={name: dict(at=at, loss=cosine) for name, at in _base_.levels.items()})
