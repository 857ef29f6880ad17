# WTTM (Zheng and Yang, ICLR 2024): ResNet-32x4 teaches ResNet-8x4. gamma and weight are the authors' for
# VGG13 to VGG8 beside CRD, as those of this pair were not at hand.
_base_ = './_base_/baselines_cifar100.py'

wttm = dict(type='dpk_mm.WTTMLoss', gamma=0.2, loss_weight=4.0)
model = dict(stages=dict(logits=dict(at='head.fc', loss=wttm)))
