# The student alone, with the teacher's width and half the layers of its head.
_base_ = ['./_base_/retinanet_mobilenet-v2.py', './_base_/bccd.py', './_base_/short.py']
model = dict(
    neck=dict(out_channels=128),
    bbox_head=dict(in_channels=128, feat_channels=128, stacked_convs=1),
)
# At the full rate the last layers of the backbone die, as their batch norms are frozen.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
