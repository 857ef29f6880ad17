# The student alone: mmdet's RetinaNet, tiny.
_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    './_base_/digits_detection.py',
    './_base_/schedule.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(
        depth=18,
        base_channels=16,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=48),
    bbox_head=dict(
        num_classes=10,
        in_channels=48,
        feat_channels=48,
        stacked_convs=1,
        anchor_generator=dict(octave_base_scale=2, ratios=[1.0, 2.0]),
    ),
)
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=-1, save_last=True),
)
