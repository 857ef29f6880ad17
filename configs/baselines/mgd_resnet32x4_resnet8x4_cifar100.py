# MGD (Yang et al., ECCV 2022): ResNet-32x4 teaches ResNet-8x4. Last stage, hidden channels and weight are the
# authors' for ImageNet, untuned here; they have no run on CIFAR-100.
_base_ = './_base_/baselines_cifar100.py'

mgd = dict(type='dpk_mm.MGDLoss', mask='channels', mask_ratio=0.15, loss_weight=7e-5)
model = dict(stages=dict(layer3=dict(at='backbone.layer3', loss=mgd)))
