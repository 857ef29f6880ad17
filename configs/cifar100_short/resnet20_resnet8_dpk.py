# DPK beside the same logit distillation: configs/dpk/resnet56_resnet20_cifar100.py made small. The necks have
# 1,053 steps instead of 168,000 to learn in, so their learning rate is ten times the authors'.
_base_ = './resnet20_resnet8_kd.py'

vit = dict(embed_dims=48, num_layers=2, num_heads=4)
prior = dict(type='dpk_mm.CKAPrior', samples='images', floor=0.15, cap=0.95, fallback=0.9)
model = dict(
    stages=[
        dict(
            at='backbone.layer3',
            neck=dict(type='dpk_mm.FeatureMixingNeck', encoder=vit, decoder=vit),
            prior=prior,
            loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.3),
        ),
        dict(
            at='backbone.layer2',
            neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=2, encoder=vit, decoder=vit),
            prior=prior,
            loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.18),
        ),
    ],
)
optim_wrapper = dict(
    constructor='dpk_mm.DistillOptimWrapperConstructor',
    distiller=dict(
        optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=1e-4),
        clip_grad=dict(max_norm=1.0),
    ),
)
