# Rows of DPK on the persons of coco_val_sub, at some weights and at the default share. All start with the teacher's
# neck and head as far as they agree.
base = 'experiments/auto_coco/configs/gfl_1conv.py'
teacher = 'experiments/auto_coco/configs/gfl_2convs.py:work_dirs/gfl_2convs/iter_1000.pth'
_published = {'dpk': 10}  # PKD's, whose loss it has here
_tuned = {}
_share = 0.3
_weights = {'dpk': [1, 3, 10]}


def _row(method, loss) -> dict:
    stages = {name: dict(loss=loss) for name in ('p3', 'p4', 'p5', 'p6')} if loss else None
    return dict(
        allow=['init_student'],
        model=dict(method=method, init_student=True, input_shape=(160, 224), stages=stages),
    )


_rows = {f'{method}, share 0.3': _row(method, None) for method in _weights}
for _method, _values in _weights.items():
    for _weight in _values:
        _rows[f'{_method}, weight {_weight:g}'] = _row(_method, dict(loss_weight=_weight))
methods = {
    'alone': None,
    'inherited start': dict(allow=['init_student'], model=dict(method='start', init_student=True)),
}
reference = 'inherited start'
seeds = [0, 1, 2]
