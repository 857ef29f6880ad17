# The student alone.
_base_ = ['./_base_/retinanet_mobilenet-v2.py', './_base_/bccd.py', './_base_/short.py']
model = dict(
    neck=dict(out_channels=64),
    bbox_head=dict(in_channels=64, feat_channels=64, stacked_convs=1),
)
# At the full rate 150 steps kill the backbone's last layers: their ReLU6 gives the same for every image.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
