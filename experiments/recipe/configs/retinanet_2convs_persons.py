# The teacher, trained for longer.
_base_ = [
    '../../bccd/configs/_base_/retinanet_mobilenet-v2.py',
    '../../auto_coco/configs/_base_/persons_teacher.py',
]
model = dict(
    neck=dict(out_channels=128),
    bbox_head=dict(num_classes=1, in_channels=128, feat_channels=128, stacked_convs=2),
)
