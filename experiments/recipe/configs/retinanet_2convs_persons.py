# The teacher, in the schedule of gfl_2convs.py.
_base_ = [
    '../../bccd/configs/_base_/retinanet_mobilenet-v2.py',
    '../../auto_coco/configs/_base_/persons.py',
]
model = dict(
    neck=dict(out_channels=128),
    bbox_head=dict(num_classes=1, in_channels=128, feat_channels=128, stacked_convs=2),
)
train_cfg = dict(max_iters=1000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=1000, eta_min=0),
]
