# DPK with FGD, Cascade R-CNN R101 -> R50, mmdet's schedule of 20 epochs.
_base_ = ['mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_20e_coco.py', './_base_/dpk_coco.py']

fgd = _base_.dpk.fgd_two_stage

model = dict(
    _delete_=True,
    type='dpk_mm.DPKDistiller',
    student=_base_.model,
    teacher=dict(config='mmdet::cascade_rcnn/cascade-rcnn_r101_fpn_20e_coco.py', checkpoint='hub'),
    init_student=True,
    stages=[
        dict(at='neck[0]', loss=fgd),  # P2 and P3: plain FGD
        dict(at='neck[1]', loss=fgd),
        dict(at='neck[2]', **_base_.dpk.p4, loss=fgd),
        dict(at='neck[3]', **_base_.dpk.p5, loss=fgd),
    ],
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
