# MGD (Yang et al., ECCV 2022), RetinaNet R101 -> R50. Weight and share are the authors' for RetinaNet.
_base_ = './_base_/baselines_coco.py'

mgd = dict(type='dpk_mm.MGDLoss', mask='positions', mask_ratio=0.65, loss_weight=2e-5)
model = dict(stages={name: dict(at=at, loss=mgd) for name, at in _base_.levels.items()})
