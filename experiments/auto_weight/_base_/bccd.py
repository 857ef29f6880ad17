# Rows of five methods, each at some weights and shares, for the pair and the schedule of experiments/bccd. All
# start with the teacher's neck and head.
base = 'experiments/bccd/configs/retinanet_thin.py'
teacher = dict(
    config='experiments/bccd/configs/retinanet_fpn128.py',
    checkpoint='work_dirs/retinanet_fpn128/epoch_16.pth',
)
_names = ('p3', 'p4', 'p5', 'p6')
# of authors' code or benchmark code; of DPK, whose loss here is PKD's, PKD's
_published = {'fgd': 1, 'pkd': 10, 'mgd': 2e-5, 'cwd': 10, 'dpk': 10}
_tuned = {'fgd': 0.003, 'pkd': 3, 'dpk': 3}  # by experiments/bccd_tuning
_weights = {'fgd': [0.003], 'pkd': [3], 'mgd': [2e-7, 2e-6], 'cwd': [0.1, 1], 'dpk': [3]}
_shares = [0.3, 1, 3]
_rows = {}
for _method, _values in _weights.items():
    for _weight in [_published[_method], *_values]:
        _loss = {name: dict(loss=dict(loss_weight=_weight)) for name in _names}
        _rows[f'{_method}, weight {_weight:g}'] = dict(
            allow=['init_student'],
            model=dict(method=_method, init_student=True, input_shape=(240, 320), stages=_loss),
        )
    for _share in _shares:
        _auto = dict(type='auto', share=_share)
        _loss = {name: dict(loss=dict(loss_weight=_auto)) for name in _names}
        _rows[f'{_method}, share {_share:g}'] = dict(
            allow=['init_student'],
            model=dict(method=_method, init_student=True, input_shape=(240, 320), stages=_loss),
        )
methods = {
    'alone': None,
    'inherited start': dict(allow=['init_student'], model=dict(method='start', init_student=True)),
}
reference = 'inherited start'
seeds = [0, 1, 2]
