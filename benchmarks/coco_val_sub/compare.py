# A RetinaNet with MobileNetV2 learns from one with a deeper head on 2,080 images of COCO. All rows but the
# first start with the teacher's neck and head (`init_student`), as in benchmarks/bccd. The runs of --jobs
# share a GPU; each has two more processes that load its data:
#   python tools/train.py configs/coco_val_sub/coco-sub_retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py benchmarks/coco_val_sub/compare.py --out benchmarks/coco_val_sub --jobs 4
base = 'configs/coco_val_sub/coco-sub_retinanet_thin.py'
teacher = dict(
    config='configs/coco_val_sub/coco-sub_retinanet_fpn128.py',
    checkpoint='work_dirs/coco-sub_retinanet_fpn128/epoch_48.pth',
)
# All as for blood cells: the authors' for RetinaNet, loss_weight chosen there; not tuned on these data.
_fgd = dict(
    type='dpk_mm.FGDLoss',
    alpha_fg=2e-3,
    beta_bg=2e-4,
    gamma_mask=3e-4,
    lambda_rela=5e-6,
    temp=0.5,
    loss_weight=0.03,
)
_vit = dict(embed_dims=64, num_layers=2, num_heads=4)
_p4 = dict(type='dpk_mm.FeatureMixingNeck', patch_size=2, encoder=_vit, decoder=_vit)
_p5_p6 = dict(type='dpk_mm.FeatureMixingNeck', patch_size=1, encoder=_vit, decoder=_vit)
_priors = {
    'dpk, ratio 0': dict(type='dpk_mm.FixedPrior', ratio=0.0),
    'dpk, fixed ratio': dict(type='dpk_mm.FixedPrior', ratio=0.5),
    'dpk, cka': dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.15, cap=0.85, fallback=0.5),
}
_stages = {
    'inherited start': [dict(at='neck[0]', loss=dict(_fgd, loss_weight=0.0))],
    # Weights of configs/baselines.
    'PKD': [
        dict(at=f'neck[{level}]', loss=dict(type='dpk_mm.PKDLoss', loss_weight=10.0)) for level in range(4)
    ],
    'MGD': [
        dict(
            at=f'neck[{level}]',
            loss=dict(type='dpk_mm.MGDLoss', mask='positions', mask_ratio=0.65, loss_weight=2e-5),
        )
        for level in range(4)
    ],
    'FGD': [dict(at=f'neck[{level}]', loss=_fgd) for level in range(4)],
    # DPK's necks above P3, which gets plain FGD.
    **{
        name: [
            dict(at='neck[0]', loss=_fgd),
            dict(at='neck[1]', neck=_p4, prior=prior, loss=_fgd),
            dict(at='neck[2]', neck=_p5_p6, prior=prior, loss=_fgd),
            dict(at='neck[3]', neck=_p5_p6, prior=prior, loss=_fgd),
        ]
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
