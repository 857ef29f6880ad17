# The rows of cifar100_30ep that say whether the prior pays, in three epochs; the schedule is scaled:
#   export PYTHONPATH=$PWD
#   python tools/compare.py experiments/cifar100_3ep/compare.py --out experiments/cifar100_3ep
_base_ = '../cifar100_30ep/compare.py'
budget = dict(max_epochs=3)
methods = dict(
    {name: _base_.methods[name] for name in ('dpk, ratio 0', 'dpk, cka', 'kd + fitnet', 'alone', 'kd')},
    _delete_=True,
)
