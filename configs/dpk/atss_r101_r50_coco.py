# DPK with FGD, ATSS R101 -> R50, mmdet's 1x schedule.
_base_ = ['mmdet::atss/atss_r50_fpn_1x_coco.py', './_base_/dpk_coco.py']

fgd = _base_.dpk.fgd_anchor_based

model = dict(
    _delete_=True,
    type='dpk_mm.DPKDistiller',
    student=_base_.model,
    teacher=dict(config='mmdet::atss/atss_r101_fpn_1x_coco.py', checkpoint='hub'),
    init_student=True,
    stages=[
        dict(at='neck[0]', loss=fgd),  # P3: plain FGD
        dict(at='neck[1]', **_base_.dpk.p4, loss=fgd),
        dict(at='neck[2]', **_base_.dpk.p5, loss=fgd),
        dict(at='neck[3]', **_base_.dpk.p6_p7, loss=fgd),
        dict(at='neck[4]', **_base_.dpk.p6_p7, loss=fgd),
    ],
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
