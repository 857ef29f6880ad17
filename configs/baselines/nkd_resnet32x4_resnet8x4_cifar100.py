# NKD (Yang et al., ICCV 2023): ResNet-32x4 teaches ResNet-8x4. gamma = 1.5 and T = 1 are the authors'.
_base_ = './_base_/baselines_cifar100.py'

nkd = dict(type='dpk_mm.NKDLoss', gamma=1.5, temperature=1.0, loss_weight=1.0)
model = dict(stages=dict(logits=dict(at='head.fc', loss=nkd)))
