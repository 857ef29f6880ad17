# DPK on ImageNet: the student by mmpretrain's recipe (100 epochs from scratch, 8 GPUs x 32), the necks by an
# optimizer of their own. Weights of the losses as in the authors' code; the bounds of the prior, and that the
# necks' cosine ends with the training, are ours.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32.py',
    'mmpretrain::_base_/schedules/imagenet_bs256.py',
    'mmpretrain::_base_/default_runtime.py',
    './necks_adamw.py',
]

optim_wrapper = dict(constructor='dpk_mm.DistillOptimWrapperConstructor', distiller=_base_.necks)
param_scheduler = dict(
    _delete_=True,
    student=_base_.param_scheduler,
    distiller=[
        dict(type='LinearLR', start_factor=0.01, begin=0, end=20, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', begin=0, end=100, eta_min=1e-5, convert_to_iter_based=True),
    ],
)
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook', max_keep_ckpts=3))

# What all pairs share. Their files copy it, so change `model` there, not `dpk`.
dpk = dict(
    distiller=dict(type='dpk_mm.DPKDistiller', method=None, task_loss_weight=0.8),  # gamma
    stage=dict(
        prior=dict(type='dpk_mm.CKAPrior', samples='images', floor=0.1, cap=0.95, fallback=0.8),
        loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.2),  # beta
    ),
    logits=dict(  # alpha
        at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=1.0, loss_weight=0.8)
    ),
    neck=dict(type='dpk_mm.FeatureMixingNeck', min_teacher_tokens=4),
    vit4=dict(num_layers=4, num_heads=8),
    vit6=dict(num_layers=6, num_heads=8),
    # The authors' protocol, for the configs called pretrained-student: 8 GPUs x 256, every second step an
    # update, the learning rate halved every 25 epochs, RandAugment m9-mstd0.5 and random erasing 0.25; the
    # rest of these two (policies, areas, fill) is mmpretrain's.
    authors=dict(
        auto_scale_lr=dict(base_batch_size=2048),
        train_dataloader=dict(
            batch_size=256,
            dataset=dict(
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='RandomResizedCrop', scale=224),
                    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
                    dict(
                        type='RandAugment',
                        policies='timm_increasing',
                        num_policies=2,
                        total_level=10,
                        magnitude_level=9,
                        magnitude_std=0.5,
                        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic'),
                    ),
                    dict(
                        type='RandomErasing',
                        erase_prob=0.25,
                        mode='rand',
                        min_area_ratio=0.02,
                        max_area_ratio=1 / 3,
                        fill_color=[103.53, 116.28, 123.675],
                        fill_std=[57.375, 57.12, 58.395],
                    ),
                    dict(type='PackInputs'),
                ],
            ),
        ),
        optim_wrapper=dict(accumulative_counts=2),
        param_scheduler=dict(student=dict(_delete_=True, type='StepLR', step_size=25, gamma=0.5)),
        resnet18=dict(type='Pretrained', checkpoint='mmcls://resnet18'),
    ),
)
