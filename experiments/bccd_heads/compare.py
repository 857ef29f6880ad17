# The methods that read a detector's head, CrossKD and the score-weighted squared error, beside PKD, for the pair,
# the data and the schedule of experiments/bccd. All rows but the first start with the teacher's neck and head.
# Weights find themselves: nothing was searched for.
#   python tools/train.py experiments/bccd/configs/retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/bccd_heads/compare.py --out experiments/bccd_heads
base = 'experiments/bccd/configs/retinanet_thin.py'
teacher = dict(
    config='experiments/bccd/configs/retinanet_fpn128.py',
    checkpoint='work_dirs/retinanet_fpn128/epoch_16.pth',
)
methods = {
    'alone': None,
    **{
        name: dict(
            allow=['init_student'], model=dict(method=method, init_student=True, input_shape=(240, 320))
        )
        for name, method in {
            'inherited start': 'start',
            'pkd': 'pkd',
            'score-mse': 'score-mse',
            'crosskd': 'crosskd',
        }.items()
    },
}
reference = 'inherited start'
seeds = [0, 1, 2]
