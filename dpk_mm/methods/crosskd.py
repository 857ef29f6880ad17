"""CrossKD: the student's head features through the teacher's head."""

from dpk_mm.registry import METHODS
from dpk_mm.utils.heads import find_head

from .pair import Pair


@METHODS.register_module()
def crosskd(pair: Pair) -> dict:
    """CrossKD (Wang et al., CVPR 2024) for the heads of GFL, ATSS, FCOS and RetinaNet.

    The student's features leave its head before the last convolution of each branch, and go on through the
    teacher's last one (paper).
    """
    student, teacher = find_head(pair.student, 'student'), find_head(pair.teacher, 'teacher')
    strides = [head.prior_generator.strides for head in (student, teacher)]
    if strides[0] != strides[1]:
        raise ValueError(f'it needs heads on the same strides, but they have {strides[0]} and {strides[1]}')
    if student.feat_channels != teacher.feat_channels:
        widths = f'{student.feat_channels} and {teacher.feat_channels}'
        raise ValueError(f'it needs heads of one width, but they have {widths} channels')
    own, start = (max(len(head.cls_convs) - 1, 1) for head in (student, teacher))
    levels = range(len(strides[0]))
    branches = [f'bbox_head.{branch}.{own - 1}' for branch in ('cls_convs', 'reg_convs')]
    return dict(
        crosskd=dict(
            student_at=[f'{branch}@{level}' for branch in branches for level in levels],
            teacher_at=[f'bbox_head[{kind}][{level}]' for kind in (0, 1) for level in levels],
            loss=dict(type='dpk_mm.CrossKDLoss', start=start, loss_weight='auto'),
        )
    )
