# Weights that find themselves, beside those of a search on held-out images and those of papers. Shares and
# weights were chosen by experiments/auto_weight/choose.py from experiments/auto_cifar100_tuning.
#   python tools/compare.py experiments/auto_cifar100/compare.py --out experiments/auto_cifar100
_base_ = ['../auto_weight/_base_/cifar100.py', '../auto_weight/_base_/chosen_cifar100.py']
methods = {
    f'{method}, {kind}': _base_._rows[name]
    for method, rows in _base_._chosen.items()
    for kind, name in rows.items()
}
