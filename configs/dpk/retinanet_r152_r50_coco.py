# DPK with FGD, RetinaNet R152 -> R50, mmdet's 2x schedule on COCO. Train the teacher first.
_base_ = ['mmdet::retinanet/retinanet_r50_fpn_2x_coco.py', './_base_/dpk_coco.py']

fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=1e-3, beta_bg=5e-4, gamma_mask=5e-4, lambda_rela=5e-6, temp=0.5)

model = dict(
    _delete_=True,
    type='dpk_mm.DPKDistiller',
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/coco/retinanet_r152_fpn_2x_coco.py',
        checkpoint='work_dirs/retinanet_r152_fpn_2x_coco/epoch_24.pth',
    ),
    init_student=True,
    stages=[dict(stage, loss=fgd) for stage in _base_.dpk.one_stage],
)

optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
