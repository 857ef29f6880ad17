# DPK with FGD, RetinaNet R101 -> R50, mmdet's 2x schedule on COCO.
_base_ = ['mmdet::retinanet/retinanet_r50_fpn_2x_coco.py', './_base_/dpk_coco.py']

fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=2e-3, beta_bg=2e-4, gamma_mask=3e-4, lambda_rela=5e-6, temp=0.5)

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::retinanet/retinanet_r101_fpn_2x_coco.py',
    init_student=True,
    stages={name: dict(stage, loss=fgd) for name, stage in _base_.dpk.one_stage.items()},
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
