# DPK with FGD, Cascade R-CNN R101 -> R50, mmdet's schedule of 20 epochs.
_base_ = ['mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_20e_coco.py', './_base_/dpk_coco.py']

fgd = _base_.dpk.fgd_two_stage

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmdet::cascade_rcnn/cascade-rcnn_r101_fpn_20e_coco.py',
    init_student=True,
    stages={name: dict(stage, loss=fgd) for name, stage in _base_.dpk.two_stage.items()},
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
