# DPK with FGD, Faster R-CNN R101 -> R18, mmdet's 2x schedule on COCO.
_base_ = ['./coco/faster-rcnn_r18_fpn_2x_coco.py', './_base_/dpk_coco.py']

fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=2e-5, beta_bg=2.5e-5, gamma_mask=2e-5, lambda_rela=2e-7, temp=0.5)

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::faster_rcnn/faster-rcnn_r101_fpn_2x_coco.py',
    init_student=True,
    stages={name: dict(stage, loss=fgd) for name, stage in _base_.dpk.two_stage.items()},
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
