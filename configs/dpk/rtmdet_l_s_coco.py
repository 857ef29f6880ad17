# DPK with FGD, RTMDet-l -> RTMDet-s (other widths: nothing to inherit), mmdet's 300 epochs.
_base_ = ['mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py', './_base_/dpk_coco.py', './_base_/necks_adamw.py']

fgd = _base_.dpk.fgd_anchor_free

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::rtmdet/rtmdet_l_8xb32-300e_coco.py',
    stages={name: dict(_base_.dpk.one_stage[name], loss=fgd) for name in ('p3', 'p4', 'p5')},
)

# The necks get an optimizer of their own, that of the authors' classifiers, with the clipping of the authors'
# detectors: the student's learning rate of 0.004 is too much for transformers.
optim_wrapper = dict(
    constructor='dpk_mm.DistillOptimWrapperConstructor',
    distiller=dict(**_base_.necks, clip_grad=dict(max_norm=35, norm_type=2)),
)
param_scheduler = dict(_delete_=True, student=_base_.param_scheduler, distiller=_base_.necks_300e)
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
