# The student with DPK: two feature stages beside the logits, weighted as configs/dpk does for CIFAR-100.
_base_ = './resnet14_resnet8_kd_digits.py'

vit = dict(embed_dims=32, num_layers=1, num_heads=4)
prior = dict(type='dpk_mm.CKAPrior', floor=0.15, cap=0.95, fallback=0.9)

model = dict(
    stages=dict(
        layer3=dict(
            at='backbone.layer3',
            neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=1, encoder=vit, decoder=vit),
            prior=prior,
            loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.3),
        ),
        layer2=dict(
            at='backbone.layer2',
            neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=2, encoder=vit, decoder=vit),
            prior=prior,
            loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.18),
        ),
    ),
)
# The necks have 600 steps to learn in: ten times the authors' learning rate.
optim_wrapper = dict(
    constructor='dpk_mm.DistillOptimWrapperConstructor',
    distiller=dict(
        optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=1e-4),
        clip_grad=dict(max_norm=1.0),
    ),
)
