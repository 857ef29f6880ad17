# DKD (Zhao et al., CVPR 2022): ResNet-32x4 teaches ResNet-8x4. All weights are the authors' for this pair.
_base_ = './_base_/baselines_cifar100.py'

dkd = dict(type='dpk_mm.DKDLoss', alpha=1.0, beta=8.0, temperature=4.0, warmup_epochs=20, loss_weight=1.0)
model = dict(stages=dict(logits=dict(at='head.fc', loss=dkd)))
