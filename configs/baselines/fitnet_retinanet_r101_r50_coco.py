# FitNets (Romero et al., ICLR 2015), RetinaNet R101 -> R50: plain mean squared error on all levels. There is
# no usual weight for it; 1 is ours and untuned.
_base_ = './_base_/baselines_coco.py'

mse = dict(type='dpk_mm.FeatureMSELoss', loss_weight=1.0)
model = dict(stages={name: dict(at=at, loss=mse) for name, at in _base_.levels.items()})
