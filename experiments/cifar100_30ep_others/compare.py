# What else one may try for thirty epochs: DPK beside DIST, LSKD, a fixed ratio, the paper's kind of neck, weights that
# find themselves. Pair and schedule are those of cifar100_30ep:
#   export PYTHONPATH=$PWD
#   python tools/compare.py experiments/cifar100_30ep_others/compare.py --out experiments/cifar100_30ep_others
_base_ = '../_base_/cifar100_30ep.py'
_elsewhere = ('dpk, ratio 0', 'dpk, cka', 'kd + fitnet', 'dist')
methods = {
    '_delete_': True,
    **{name: row for name, row in _base_.methods.items() if name not in _elsewhere},
}
