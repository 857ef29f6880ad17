# Similarity preserving (Tung and Mori, ICCV 2019): ResNet-32x4 teaches ResNet-8x4. The last stage and weight
# 3000 are the shared benchmark's (RepDistiller, mdistiller).
_base_ = './_base_/baselines_cifar100.py'

sp = dict(type='dpk_mm.SPLoss', loss_weight=3000.0)
model = dict(stages=dict(layer3=dict(at='backbone.layer3', loss=sp)))
