# A Faster R-CNN with MobileNetV2 learns to find blood cells from one with a wider head. All rows but the
# first start with what the teacher has of the same shape, its neck and RPN (`init_student`). The runs of
# --jobs share a GPU:
#   python tools/train.py configs/bccd/faster-rcnn_fc1024.py --cfg-options randomness.seed=0
#   python tools/compare.py benchmarks/bccd_faster-rcnn/compare.py --out benchmarks/bccd_faster-rcnn --jobs 4
base = 'configs/bccd/faster-rcnn_fc128.py'
teacher = dict(
    config='configs/bccd/faster-rcnn_fc1024.py', checkpoint='work_dirs/faster-rcnn_fc1024/epoch_16.pth'
)
# The authors' for Faster R-CNN, a fortieth of RetinaNet's; not tuned on these data.
_fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=5e-5, beta_bg=2.5e-5, gamma_mask=5e-5, lambda_rela=5e-7, temp=0.5)
_vit = dict(embed_dims=64, num_layers=2, num_heads=4)  # as for the RetinaNet
_necks = [
    dict(at='neck[2]', neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=2, encoder=_vit, decoder=_vit)),
    dict(at='neck[3]', neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=1, encoder=_vit, decoder=_vit)),
]
_priors = {
    'dpk, ratio 0': dict(type='dpk_mm.FixedPrior', ratio=0.0),
    'dpk, fixed ratio': dict(type='dpk_mm.FixedPrior', ratio=0.5),
    'dpk, cka': dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.15, cap=0.85, fallback=0.5),
}
_stages = {
    'inherited start': [dict(at='neck[0]', loss=dict(_fgd, loss_weight=0.0))],
    # The weight is MMRazor's for Faster R-CNN.
    'PKD': [
        dict(at=f'neck[{level}]', loss=dict(type='dpk_mm.PKDLoss', loss_weight=6.0)) for level in range(4)
    ],
    # Weight and share are the authors' for detectors of two stages.
    'MGD': [
        dict(
            at=f'neck[{level}]',
            loss=dict(type='dpk_mm.MGDLoss', mask='positions', mask_ratio=0.45, loss_weight=5e-7),
        )
        for level in range(4)
    ],
    'FGD': [dict(at=f'neck[{level}]', loss=_fgd) for level in range(4)],
    # DPK's necks at P4 and P5, plain FGD at P2 and P3.
    **{
        name: [
            *(dict(at=f'neck[{level}]', loss=_fgd) for level in range(2)),
            *(dict(stage, prior=prior, loss=_fgd) for stage in _necks),
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
