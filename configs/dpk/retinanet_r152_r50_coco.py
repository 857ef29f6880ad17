# DPK with FGD, RetinaNet R152 -> R50, mmdet's 2x schedule on COCO. Train the teacher first.
_base_ = './retinanet_r101_r50_coco.py'

fgd = dict(alpha_fg=1e-3, beta_bg=5e-4, gamma_mask=5e-4)
model = dict(
    teacher=(
        '{{ fileDirname }}/coco/retinanet_r152_fpn_2x_coco.py'
        ':work_dirs/retinanet_r152_fpn_2x_coco/epoch_24.pth'
    ),
    stages={level: dict(loss=fgd) for level in ('p3', 'p4', 'p5', 'p6', 'p7')},
)
