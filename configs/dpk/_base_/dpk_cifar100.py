# DPK on CIFAR-100: two optimizers with a schedule each, the weights of the losses, the bounds of the prior.
# Ours are the bounds, and that both necks are clipped: the authors' code leaves one out. All else is as in
# that code; the paper's own weights of the losses are not known.
_base_ = ['./cifar100.py', './necks_adamw.py']

optim_wrapper = dict(
    constructor='dpk_mm.DistillOptimWrapperConstructor',
    clip_grad=dict(max_norm=1.0),  # the student's, which trains alone without
    distiller=dict(**_base_.necks, clip_grad=dict(max_norm=1.0)),
)
param_scheduler = dict(
    _delete_=True,
    student=_base_.param_scheduler,
    distiller=[
        dict(type='LinearLR', start_factor=0.01, begin=0, end=20, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', begin=0, end=240, eta_min=1e-5, convert_to_iter_based=True),
    ],
)

prior = dict(type='dpk_mm.CKAPrior', samples='images', floor=0.15, cap=0.95, fallback=0.9)
# What all pairs share. Their files copy it, so change `model` there, not `dpk`.
dpk = dict(
    distiller=dict(type='dpk_mm.DPKDistiller', method=None, input_shape=(32, 32)),
    # beta 0.3, times 1 for the last stage and 0.6 for the one below
    last=dict(prior=prior, loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.3)),
    lower=dict(prior=prior, loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.18)),
    logits=dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=1.0, loss_weight=1.0)),
    neck=dict(type='dpk_mm.FeatureMixingNeck'),
    # most encoders have six layers, most decoders four
    vit4=dict(num_layers=4, num_heads=8),
    vit6=dict(num_layers=6, num_heads=8),
)
