# The teacher: a classifier of ImageNet, of which only the backbone runs.
_base_ = ['mmpretrain::_base_/models/mobilenet_v2_1x.py']
default_scope = 'mmpretrain'
data_preprocessor = dict(
    num_classes=1000, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
