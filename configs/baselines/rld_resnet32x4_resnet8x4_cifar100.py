# RLD (Sun et al., ICCV 2025): ResNet-32x4 teaches ResNet-8x4. alpha = 1 and T = 4 are the authors'; beta is
# DKD's for this pair, and within the authors' range of 4 to 8.
_base_ = './_base_/baselines_cifar100.py'

rld = dict(type='dpk_mm.RLDLoss', alpha=1.0, beta=8.0, temperature=4.0, loss_weight=1.0)
model = dict(stages=dict(logits=dict(at='head.fc', loss=rld)))
