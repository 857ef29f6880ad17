# The student alone: a very narrow CIFAR ResNet.
_base_ = [
    '../../../configs/dpk/_base_/models/resnet8_cifar.py',
    './_base_/digits_classification.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(base_channels=4),
    head=dict(num_classes=10, in_channels=16, topk=(1,)),
)
# 600 steps from random weights, a few seconds on one core. Optimizer and learning rate were chosen for the
# student alone, with `make_data.py --choose` and seeds of 100 and more: AdamW left some seeds far behind.
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=100)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=0, end=2, eta_min=0, convert_to_iter_based=True),
]
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(type='dpk_mm.PlainCheckpointHook', interval=-1, save_last=True),
)
