# DPK with FGD, ATSS R101 -> R50, mmdet's 1x schedule.
_base_ = ['mmdet::atss/atss_r50_fpn_1x_coco.py', './_base_/dpk_coco.py']

fgd = _base_.dpk.fgd_anchor_based

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::atss/atss_r101_fpn_1x_coco.py',
    init_student=True,
    stages={name: dict(stage, loss=fgd) for name, stage in _base_.dpk.one_stage.items()},
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
