# The rows of a table of detectors. All but the first start with what the teacher has of the same shape, neck
# and head (`init_student`). Places and weights are those of a RetinaNet with four levels.
_vit = dict(embed_dims=64, num_layers=2, num_heads=4)
_neck = dict(type='dpk_mm.FeatureMixingNeck', patch_size=1, encoder=_vit, decoder=_vit)
_priors = {
    'dpk, ratio 0': dict(type='dpk_mm.FixedPrior', ratio=0.0),
    'dpk, fixed ratio': dict(type='dpk_mm.FixedPrior', ratio=0.5),
    'dpk, cka': dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.15, cap=0.85, fallback=0.5),
}
# The authors' for RetinaNet; loss_weight was a compromise on blood cells (experiments/bccd/notes.md), where the loss
# starts at some 380 times the detector's own with 1.
_fgd = dict(
    type='dpk_mm.FGDLoss',
    alpha_fg=2e-3,
    beta_bg=2e-4,
    gamma_mask=3e-4,
    lambda_rela=5e-6,
    temp=0.5,
    loss_weight=0.03,
)
_losses = {
    # Weights of configs/baselines.
    'PKD': dict(type='dpk_mm.PKDLoss', loss_weight=10.0),
    'MGD': dict(type='dpk_mm.MGDLoss', mask='positions', mask_ratio=0.65, loss_weight=2e-5),
    'FGD': _fgd,
}
_stages = {
    'inherited start': dict(p3=dict(at='neck[0]', loss=dict(_fgd, loss_weight=0.0))),
    **{
        name: {f'p{level + 3}': dict(at=f'neck[{level}]', loss=loss) for level in range(4)}
        for name, loss in _losses.items()
    },
    # DPK's necks above P3, which gets plain FGD.
    **{
        name: dict(
            p3=dict(at='neck[0]', loss=_fgd),
            p4=dict(at='neck[1]', neck=dict(_neck, patch_size=2), prior=prior, loss=_fgd),
            p5=dict(at='neck[2]', neck=_neck, prior=prior, loss=_fgd),
            p6=dict(at='neck[3]', neck=_neck, prior=prior, loss=_fgd),
        )
        for name, prior in _priors.items()
    },
}
methods = {
    'alone': None,
    **{
        name: dict(allow=['init_student'], model=dict(init_student=True, stages=stages))
        for name, stages in _stages.items()
    },
}
reference = 'inherited start'
seeds = [0, 1, 2]
