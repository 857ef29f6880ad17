# A RetinaNet with MobileNetV2 learns to find blood cells from one with a deeper head, for five epochs. All
# rows but the first start with the teacher's neck and head (`init_student`):
#   python tools/train.py configs/bccd/retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py benchmarks/bccd/compare.py --out benchmarks/bccd --jobs 2
base = 'configs/bccd/retinanet_thin.py'
teacher = dict(
    config='configs/bccd/retinanet_fpn128.py', checkpoint='work_dirs/retinanet_fpn128/epoch_16.pth'
)
_rows = 'configs/bccd/retinanet_fpn128_thin'
_inherited = ['init_student']
methods = {
    'alone': None,
    'inherited start': dict(config=f'{_rows}_inherited.py', allow=_inherited),
    # Weights of configs/baselines.
    'PKD': dict(
        allow=_inherited,
        model=dict(
            init_student=True,
            stages=[
                dict(at=f'neck[{level}]', loss=dict(type='dpk_mm.PKDLoss', loss_weight=10.0))
                for level in range(4)
            ],
        ),
    ),
    'MGD': dict(
        allow=_inherited,
        model=dict(
            init_student=True,
            stages=[
                dict(
                    at=f'neck[{level}]',
                    loss=dict(type='dpk_mm.MGDLoss', mask='positions', mask_ratio=0.65, loss_weight=2e-5),
                )
                for level in range(4)
            ],
        ),
    ),
    'FGD': dict(config=f'{_rows}_fgd.py', allow=_inherited),
    'dpk, ratio 0': dict(config=f'{_rows}_ratio0.py', allow=_inherited),
    'dpk, fixed ratio': dict(config=f'{_rows}_fixed.py', allow=_inherited),
    'dpk, cka': dict(config=f'{_rows}_dpk.py', allow=_inherited),
}
reference = 'inherited start'
seeds = [0, 1, 2]
