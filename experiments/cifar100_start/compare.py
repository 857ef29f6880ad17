# What did 1.0 change for DPK? Rows of cifar100_short once more, now that the necks start, and the maps are
# resized, as in the authors' code. Nothing of "kd" has changed: its row shows what else did.
#   python tools/compare.py experiments/cifar100_start/compare.py --out experiments/cifar100_start --jobs 2
_base_ = '../cifar100_short/compare.py'
methods = dict(
    {name: _base_.methods[name] for name in ('alone', 'kd', 'dpk, cka, lean necks, residual')},
    **{name: dict(_base_.methods[name], seeds=[0, 1, 2]) for name in ('dpk, ratio 0', 'dpk, cka')},
    _delete_=True,
)
