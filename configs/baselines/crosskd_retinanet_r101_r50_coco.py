# CrossKD (Wang et al., CVPR 2024), RetinaNet R101 -> R50: the student's features leave its head before the
# last of four convolutions and go on through the teacher's. The published weights were not at hand, so the
# weight finds itself.
_base_ = './_base_/baselines_coco.py'

model = dict(
    stages=dict(
        crosskd=dict(
            student_at=[
                f'bbox_head.{branch}.2@{level}' for branch in ('cls_convs', 'reg_convs') for level in range(5)
            ],
            teacher_at=[f'bbox_head[{kind}][{level}]' for kind in (0, 1) for level in range(5)],
            loss=dict(type='dpk_mm.CrossKDLoss', start=3, loss_weight='auto'),
        )
    )
)
