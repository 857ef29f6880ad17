# What the COCO detectors share. Their files copy it, so change `model` there, not `dpk`.
#
# Necks by pyramid level, with the authors' sizes and least number of tokens. The prior over positions and its
# bounds are ours: on two images a GPU the authors' ratio is constant.
prior = dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.15, cap=0.85, fallback=0.5)
neck = dict(type='dpk_mm.FeatureMixingNeck', min_teacher_tokens=40)
vit = dict(num_layers=4, num_heads=8)
vit256, vit512, vit1024 = (dict(vit, embed_dims=width) for width in (256, 512, 1024))
p4 = dict(neck=dict(neck, patch_size=4, encoder=vit512, decoder=vit1024), prior=prior)
p5 = dict(neck=dict(neck, patch_size=2, encoder=vit256, decoder=vit512), prior=prior)
p6_p7 = dict(neck=dict(neck, patch_size=1, encoder=vit256, decoder=vit256), prior=prior)
dpk = dict(
    distiller=dict(type='dpk_mm.DPKDistiller', method=None),  # all stages are written down
    p4=p4,
    p5=p5,
    p6_p7=p6_p7,
    # Stages but for their losses; P3 of one-stage detectors, P2 and P3 of two-stage ones get plain FGD.
    one_stage=dict(
        p3=dict(at='neck[0]'),
        p4=dict(at='neck[1]', **p4),
        p5=dict(at='neck[2]', **p5),
        p6=dict(at='neck[3]', **p6_p7),
        p7=dict(at='neck[4]', **p6_p7),
    ),
    two_stage=dict(
        p2=dict(at='neck[0]'),
        p3=dict(at='neck[1]'),
        p4=dict(at='neck[2]', **p4),
        p5=dict(at='neck[3]', **p5),
    ),
    # FGD's weights for detectors that DPK's authors did not try, from FGD's own configs.
    fgd_anchor_based=dict(
        type='dpk_mm.FGDLoss', alpha_fg=1e-3, beta_bg=5e-4, gamma_mask=5e-4, lambda_rela=5e-6, temp=0.5
    ),
    fgd_anchor_free=dict(
        type='dpk_mm.FGDLoss', alpha_fg=1.6e-3, beta_bg=8e-4, gamma_mask=8e-4, lambda_rela=8e-6, temp=0.5
    ),
    fgd_two_stage=dict(
        type='dpk_mm.FGDLoss', alpha_fg=5e-5, beta_bg=2.5e-5, gamma_mask=5e-5, lambda_rela=5e-7, temp=0.5
    ),
)
