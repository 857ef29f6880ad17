# LSKD (Sun et al., CVPR 2024), KD of standardized logits: ResNet-32x4 teaches ResNet-8x4. T = 2, weight 9 and
# 0.1 of the cross-entropy are the authors'.
_base_ = './_base_/baselines_cifar100.py'

lskd = dict(type='dpk_mm.LogitsKLLoss', temperature=2.0, loss_weight=9.0, standardize=True)
model = dict(stages=dict(logits=dict(at='head.fc', loss=lskd)), task_loss_weight=0.1)
