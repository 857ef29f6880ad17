# DIST (Huang et al., NeurIPS 2022): ResNet-32x4 teaches ResNet-8x4. T = 4 and the weight 2 are the authors'
# for CIFAR-100.
_base_ = './_base_/baselines_cifar100.py'

dist = dict(type='dpk_mm.DISTLoss', beta=1.0, gamma=1.0, temperature=4.0, loss_weight=2.0)
model = dict(stages=dict(logits=dict(at='head.fc', loss=dist)))
