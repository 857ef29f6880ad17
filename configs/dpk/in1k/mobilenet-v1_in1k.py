# MobileNetV1 alone on ImageNet, by the recipe of mmpretrain's ResNets.
_base_ = [
    '../_base_/models/mobilenet-v1.py',
    'mmpretrain::_base_/datasets/imagenet_bs32.py',
    'mmpretrain::_base_/schedules/imagenet_bs256.py',
    'mmpretrain::_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook', max_keep_ckpts=3))
