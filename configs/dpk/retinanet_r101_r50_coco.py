# DPK with FGD, RetinaNet R101 -> R50, mmdet's 2x schedule on COCO.
_base_ = ['mmdet::retinanet/retinanet_r50_fpn_2x_coco.py', './_base_/dpk_coco.py']

fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=2e-3, beta_bg=2e-4, gamma_mask=3e-4, lambda_rela=5e-6, temp=0.5)

model = dict(
    _delete_=True,
    type='dpk_mm.DPKDistiller',
    student=_base_.model,
    teacher=dict(config='mmdet::retinanet/retinanet_r101_fpn_2x_coco.py', checkpoint='hub'),
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
