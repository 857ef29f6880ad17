# The student with DPK, configs/dpk/retinanet_r101_r50_coco.py made small.
_base_ = './retinanet_r18_digits.py'

# Weights for 48 channels and maps of 16 x 16 and less, a first guess, checked on seed 100.
fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=2e-2, beta_bg=1e-2, gamma_mask=3e-3, lambda_rela=1e-4, temp=0.5)
vit = dict(embed_dims=48, num_layers=2, num_heads=4)
prior = dict(type='dpk_mm.CKAPrior', floor=0.15, cap=0.85, fallback=0.5)

model = dict(
    _delete_=True,
    type='dpk_mm.DPKDistiller',
    method=None,
    student=_base_.model,
    teacher='{{ fileDirname }}/retinanet_r34_digits.py:{{ fileDirname }}/retinanet_r34_digits.pth',
    init_student=True,
    stages=dict(
        p3=dict(at='neck[0]', loss=fgd),  # plain FGD
        p4=dict(
            at='neck[1]',
            neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=2, encoder=vit, decoder=vit),
            prior=prior,
            loss=fgd,
        ),
        p5=dict(
            at='neck[2]',
            neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=1, encoder=vit, decoder=vit),
            prior=prior,
            loss=fgd,
        ),
    ),
)
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
