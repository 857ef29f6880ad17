# The rows of cifar100_30ep that say whether the prior pays, in one epoch; the schedule is scaled:
#   export PYTHONPATH=$PWD
#   python tools/compare.py experiments/cifar100_1ep/compare.py --out experiments/cifar100_1ep
_base_ = '../cifar100_30ep/compare.py'
budget = dict(max_epochs=1)
methods = dict(
    {name: _base_.methods[name] for name in ('dpk, ratio 0', 'dpk, cka', 'kd + fitnet', 'alone', 'kd')},
    _delete_=True,
)
