# What the distilling rows share: teacher, logit distillation, and the places, necks and losses of DPK. It is
# configs/dpk/resnet56_resnet20_cifar100.py made small. The necks have 1,053 steps instead of 187,680 to learn
# in, so their learning rate is ten times the authors'. The rows copy it: change `model` there, not `dpk`.
_base_ = './short.py'

vit = dict(embed_dims=48, num_layers=2, num_heads=4)
dpk = dict(
    distiller=dict(
        type='dpk_mm.DPKDistiller',
        method=None,
        teacher='{{ fileDirname }}/../resnet20.py:{{ fileDirname }}/../resnet20.pth',
        input_shape=(32, 32),
    ),
    logits=dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=1.0)),
    stages=dict(
        layer3=dict(
            at='backbone.layer3',
            neck=dict(type='dpk_mm.FeatureMixingNeck', encoder=vit, decoder=vit),
            loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.3),
        ),
        layer2=dict(
            at='backbone.layer2',
            neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=2, encoder=vit, decoder=vit),
            loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.18),
        ),
    ),
    cka=dict(type='dpk_mm.CKAPrior', samples='images', floor=0.15, cap=0.95, fallback=0.9),
    optim_wrapper=dict(
        constructor='dpk_mm.DistillOptimWrapperConstructor',
        distiller=dict(
            optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=1e-4),
            clip_grad=dict(max_norm=1.0),
        ),
    ),
)
