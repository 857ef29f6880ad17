# A Faster R-CNN with MobileNetV2 learns to find blood cells from one with a wider head. All rows but the
# first start with what the teacher has of the same shape, its neck and RPN (`init_student`):
#   python tools/train.py experiments/bccd/configs/faster-rcnn_fc1024.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/bccd_faster-rcnn/compare.py --out experiments/bccd_faster-rcnn --jobs 4
_base_ = '../_base_/detection.py'
base = 'experiments/bccd/configs/faster-rcnn_fc128.py'
teacher = 'experiments/bccd/configs/faster-rcnn_fc1024.py:work_dirs/faster-rcnn_fc1024/epoch_16.pth'
# Weights for Faster R-CNN: FGD's are the authors', a sixth to a fortieth of RetinaNet's; PKD's is MMRazor's;
# weight and share of MGD are its authors' for detectors of two stages. None is tuned on these data.
_fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=5e-5, beta_bg=2.5e-5, gamma_mask=5e-5, lambda_rela=5e-7, temp=0.5)
_losses = {
    'PKD': dict(type='dpk_mm.PKDLoss', loss_weight=6.0),
    'MGD': dict(type='dpk_mm.MGDLoss', mask='positions', mask_ratio=0.45, loss_weight=5e-7),
    'FGD': _fgd,
}
_stages = {
    'inherited start': dict(p2=dict(at='neck[0]', loss=dict(_fgd, loss_weight=0.0))),
    **{
        name: {f'p{level + 2}': dict(at=f'neck[{level}]', loss=loss) for level in range(4)}
        for name, loss in _losses.items()
    },
    # DPK's necks at P4 and P5, plain FGD at P2 and P3.
    **{
        name: dict(
            p2=dict(at='neck[0]', loss=_fgd),
            p3=dict(at='neck[1]', loss=_fgd),
            p4=dict(at='neck[2]', neck=dict(_base_._neck, patch_size=2), prior=prior, loss=_fgd),
            p5=dict(at='neck[3]', neck=_base_._neck, prior=prior, loss=_fgd),
        )
        for name, prior in _base_._priors.items()
    },
}
methods = {name: dict(model=dict(stages=dict(_delete_=True, **stages))) for name, stages in _stages.items()}
