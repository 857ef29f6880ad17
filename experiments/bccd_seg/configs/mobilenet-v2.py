# The teacher: of full width, on ImageNet weights.
_base_ = ['./_base_/segformer-head_mobilenet-v2.py', './_base_/bccd_seg.py', './_base_/short.py']
# 'mmcls://mobilenet_v2', which MMPretrain publishes, has the same keys.
checkpoint = 'data/mobilenet_v2_imagenet/mobilenet_v2_mmpretrain.pth'
model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')),
    decode_head=dict(in_channels=[24, 32, 96, 320], channels=128),
)
