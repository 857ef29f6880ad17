# DPK with FGD, RepPoints R101 -> R50, mmdet's 2x schedule.
_base_ = ['mmdet::reppoints/reppoints-moment_r50_fpn-gn_head-gn_2x_coco.py', './_base_/dpk_coco.py']

fgd = _base_.dpk.fgd_anchor_free

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::reppoints/reppoints-moment_r101_fpn-gn_head-gn_2x_coco.py',
    init_student=True,
    stages={name: dict(stage, loss=fgd) for name, stage in _base_.dpk.one_stage.items()},
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
