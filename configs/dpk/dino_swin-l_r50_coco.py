# DPK with FGD, DINO Swin-L -> R50, mmdet's 12 epochs. FGD's weights: our guess.
_base_ = ['mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py', './_base_/dpk_coco.py']

fgd = _base_.dpk.fgd_two_stage

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::dino/dino-5scale_swin-l_8xb2-36e_coco.py',
    # The teacher has one level more, at stride 4.
    stages=dict(
        p3=dict(student_at='neck[0]', teacher_at='neck[1]', loss=fgd),  # stride 8: plain FGD
        p4=dict(student_at='neck[1]', teacher_at='neck[2]', **_base_.dpk.p4, loss=fgd),
        p5=dict(student_at='neck[2]', teacher_at='neck[3]', **_base_.dpk.p5, loss=fgd),
        p6=dict(student_at='neck[3]', teacher_at='neck[4]', **_base_.dpk.p6_p7, loss=fgd),
    ),
)

default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
