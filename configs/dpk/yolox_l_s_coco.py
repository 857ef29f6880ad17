# DPK with FGD, YOLOX-l -> YOLOX-s (other widths: nothing to inherit), mmdet's 300 epochs.
_base_ = ['mmdet::yolox/yolox_s_8xb8-300e_coco.py', './_base_/dpk_coco.py', './_base_/necks_adamw.py']

# FGD's own for YOLOX-l -> YOLOX-m
fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=2e-3, beta_bg=1e-3, gamma_mask=1e-3, lambda_rela=1e-5, temp=0.5)

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::yolox/yolox_l_8xb8-300e_coco.py',
    stages={name: dict(_base_.dpk.one_stage[name], loss=fgd) for name in ('p3', 'p4', 'p5')},
)

# The necks get an optimizer of their own, that of the authors' classifiers, with the clipping of the authors'
# detectors: mmdet trains YOLOX without clipping.
optim_wrapper = dict(
    constructor='dpk_mm.DistillOptimWrapperConstructor',
    distiller=dict(**_base_.necks, clip_grad=dict(max_norm=35, norm_type=2)),
)
param_scheduler = dict(_delete_=True, student=_base_.param_scheduler, distiller=_base_.necks_300e)
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
