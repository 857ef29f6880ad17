# The teacher, in the schedule of gfl_2convs.py.
_base_ = [
    '../../bccd/configs/_base_/faster-rcnn_mobilenet-v2.py',
    '../../auto_coco/configs/_base_/persons.py',
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1, fc_out_channels=1024)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128))),  # a quarter of mmdet's regions, for a CPU core
)
train_cfg = dict(max_iters=1000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=1000, eta_min=0),
]
