# Rows of four methods, each at some weights and shares, for cifar100_short's pair and schedule. The necks have
# the student's optimizer, as with the three lines of the README. The 45,000 images for training are the same.
base = 'experiments/cifar100_short/configs/resnet8.py'
teacher = dict(
    config='experiments/cifar100_short/configs/resnet20.py',
    checkpoint='experiments/cifar100_short/configs/resnet20.pth',
)
# method -> its stages on maps, with the parts of a weight
_stages = {
    'kd+fitnet': dict(layer2=0.6, layer3=1.0),
    'dpk': dict(layer2=0.6, layer3=1.0),
    'at': dict(layer1=1.0, layer2=1.0, layer3=1.0),
    'sp': dict(layer3=1.0),
}
_published = {'kd+fitnet': 0.3, 'dpk': 0.3, 'at': 1000, 'sp': 3000}  # DPK's beta also for FitNet's two stages
_tuned = {'kd+fitnet': 100, 'dpk': 100}  # by experiments/cifar100_tuning
_weights = {'kd+fitnet': [100], 'dpk': [100], 'at': [100, 1000, 10000], 'sp': [300, 3000, 30000]}
_shares = [1, 3, 10, 30]
_rows = {}
for _method, _parts in _stages.items():
    for _weight in [_published[_method], *_weights[_method]]:
        _loss = {stage: dict(loss=dict(loss_weight=_weight * part)) for stage, part in _parts.items()}
        _rows[f'{_method}, weight {_weight:g}'] = dict(
            model=dict(method=_method, input_shape=(32, 32), stages=_loss)
        )
    for _share in _shares:
        _auto = dict(type='auto', share=_share)
        _loss = {stage: dict(loss=dict(loss_weight=_auto)) for stage in _parts}
        _rows[f'{_method}, share {_share}'] = dict(
            model=dict(method=_method, input_shape=(32, 32), stages=_loss)
        )
methods = {'alone': None}
seeds = [0, 1, 2]
