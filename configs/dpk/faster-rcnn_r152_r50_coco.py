# DPK with FGD, Faster R-CNN R152 -> R50, mmdet's 2x schedule on COCO. Train the teacher first.
_base_ = './faster-rcnn_r101_r50_coco.py'

model = dict(
    teacher=(
        '{{ fileDirname }}/coco/faster-rcnn_r152_fpn_2x_coco.py'
        ':work_dirs/faster-rcnn_r152_fpn_2x_coco/epoch_24.pth'
    ),
    stages={level: dict(loss=dict(beta_bg=5e-6)) for level in ('p2', 'p3', 'p4', 'p5')},
)
