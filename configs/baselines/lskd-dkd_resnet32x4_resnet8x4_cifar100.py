# LSKD (Sun et al., CVPR 2024) with DKD: ResNet-32x4 teaches ResNet-8x4. alpha, beta and the warm-up are DKD's
# for this pair; T = 2 and weight 9 are LSKD's for KD, as its numbers for DKD were not at hand (ours).
_base_ = './_base_/baselines_cifar100.py'

dkd = dict(
    type='dpk_mm.DKDLoss',
    alpha=1.0,
    beta=8.0,
    temperature=2.0,
    warmup_epochs=20,
    loss_weight=9.0,
    standardize=True,
)
model = dict(stages=dict(logits=dict(at='head.fc', loss=dkd)))
