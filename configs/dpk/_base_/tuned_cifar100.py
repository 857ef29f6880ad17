# Ours, not the paper's: lean residual necks and losses of features 333 times as heavy, of the last stage and
# of the one below. It led a search in short schedules (docs/results/cifar100_tuning.md).
tuned = [
    dict(
        neck=dict(type='dpk_mm.FeatureMixingNeck', preset='lean', patch_size=patch_size, residual=True),
        loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=weight),
    )
    for patch_size, weight in ((1, 100.0), (2, 60.0))
]
