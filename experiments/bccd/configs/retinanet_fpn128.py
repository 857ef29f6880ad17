# The teacher: wider and deeper after the same backbone, and trained for longer.
_base_ = ['./_base_/retinanet_mobilenet-v2.py', './_base_/bccd.py', './_base_/short.py']
model = dict(
    neck=dict(out_channels=128),
    bbox_head=dict(in_channels=128, feat_channels=128, stacked_convs=2),
)
optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', begin=0, end=16, eta_min=0, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=16)
