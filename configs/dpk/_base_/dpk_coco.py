# What the COCO detectors share: the sizes of the necks by pyramid level and the prior.
# Sizes and bounds as in the authors' code; the prior over positions is ours (their ratio is constant
# on two images a GPU). Used as `_base_.dpk.p5`.
dpk = dict(
    p6_p7=dict(
        type='dpk_mm.FeatureMixingNeck',
        patch_size=1,
        encoder=dict(embed_dims=256, num_layers=4, num_heads=8),
        decoder=dict(embed_dims=256, num_layers=4, num_heads=8),
    ),
    p5=dict(
        type='dpk_mm.FeatureMixingNeck',
        patch_size=2,
        encoder=dict(embed_dims=256, num_layers=4, num_heads=8),
        decoder=dict(embed_dims=512, num_layers=4, num_heads=8),
    ),
    p4=dict(
        type='dpk_mm.FeatureMixingNeck',
        patch_size=4,
        encoder=dict(embed_dims=512, num_layers=4, num_heads=8),
        decoder=dict(embed_dims=1024, num_layers=4, num_heads=8),
    ),
    prior=dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.15, cap=0.85, fallback=0.5),
)
