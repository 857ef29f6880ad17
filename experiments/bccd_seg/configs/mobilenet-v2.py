# The teacher: of full width, on ImageNet weights, and trained for longer.
_base_ = ['./_base_/segformer-head_mobilenet-v2.py', './_base_/bccd_seg.py', './_base_/short.py']
# 'mmcls://mobilenet_v2', which MMPretrain publishes, has the same keys.
checkpoint = 'data/mobilenet_v2_imagenet/mobilenet_v2_mmpretrain.pth'
model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')),
    decode_head=dict(in_channels=[24, 32, 96, 320], channels=128),
)
train_cfg = dict(max_epochs=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', begin=0, end=8, eta_min=0, convert_to_iter_based=True),
]
