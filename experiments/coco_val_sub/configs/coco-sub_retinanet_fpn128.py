# The teacher: two convolutions in its head, and twice as long a training.
_base_ = ['../../bccd/configs/_base_/retinanet_mobilenet-v2.py', './_base_/coco_val_sub.py']
model = dict(
    neck=dict(out_channels=128),
    bbox_head=dict(num_classes=80, in_channels=128, feat_channels=128, stacked_convs=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=260),
    dict(type='CosineAnnealingLR', begin=0, end=48, eta_min=0, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=48)
