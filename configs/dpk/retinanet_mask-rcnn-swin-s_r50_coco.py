# DPK with FGD, a two-stage teacher with a transformer (Mask R-CNN Swin-S) -> RetinaNet R50.
_base_ = ['mmdet::retinanet/retinanet_r50_fpn_2x_coco.py', './_base_/dpk_coco.py']

fgd = _base_.dpk.fgd_anchor_based

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::swin/mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco.py',
    # The teacher's pyramid begins at P2 and has no P7.
    stages=dict(
        p3=dict(student_at='neck[0]', teacher_at='neck[1]', loss=fgd),  # plain FGD
        p4=dict(student_at='neck[1]', teacher_at='neck[2]', **_base_.dpk.p4, loss=fgd),
        p5=dict(student_at='neck[2]', teacher_at='neck[3]', **_base_.dpk.p5, loss=fgd),
        p6=dict(student_at='neck[3]', teacher_at='neck[4]', **_base_.dpk.p6_p7, loss=fgd),
    ),
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
