# WKD-F (Lv et al., NeurIPS 2024): ResNet-32x4 teaches ResNet-8x4. The published weight was not at hand, so
# the weight finds itself.
_base_ = './_base_/baselines_cifar100.py'

wkdf = dict(type='dpk_mm.WKDFLoss', loss_weight='auto')
model = dict(stages=dict(layer3=dict(at='backbone.layer3', loss=wkdf)))
