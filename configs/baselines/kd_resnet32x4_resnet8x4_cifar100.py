# KD (Hinton et al., 2015): ResNet-32x4 teaches ResNet-8x4. T = 4, 0.9 KD + 0.1 cross-entropy: the shared
# benchmark's (RepDistiller, mdistiller).
_base_ = './_base_/baselines_cifar100.py'

kd = dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=0.9)
model = dict(stages=dict(logits=dict(at='head.fc', loss=kd)), task_loss_weight=0.1)
