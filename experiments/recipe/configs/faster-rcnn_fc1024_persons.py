# The teacher, trained for longer.
_base_ = [
    '../../bccd/configs/_base_/faster-rcnn_mobilenet-v2.py',
    '../../auto_coco/configs/_base_/persons_teacher.py',
]
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1, fc_out_channels=1024)),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128))),  # a quarter of mmdet's regions, for a CPU core
)
