# Spatial cosine, as RT-DETRv4 compares the last map with a foundation model's: ResNet-32x4 teaches
# ResNet-8x4. There is no usual weight for this pair, so the weight finds itself.
_base_ = './_base_/baselines_cifar100.py'

cosine = dict(type='dpk_mm.SpatialCosineLoss', loss_weight='auto')
model = dict(stages=dict(layer3=dict(at='backbone.layer3', loss=cosine)))
