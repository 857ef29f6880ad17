# The paper's question at thirty epochs: does the prior ever pay? A ResNet-20 that was trained for 60 epochs teaches
# a ResNet-8. The rows that decide have three seeds:
#   python tools/train.py experiments/cifar100_30ep/configs/resnet20.py --cfg-options randomness.seed=0
#   cp work_dirs/resnet20/epoch_60.pth experiments/cifar100_30ep/configs/resnet20.pth
#   export PYTHONPATH=$PWD
#   python tools/compare.py experiments/cifar100_30ep/compare.py --out experiments/cifar100_30ep
#   python experiments/cifar100_30ep/list_epochs.py work_dirs/compare/cifar100_30ep experiments/cifar100_30ep
_base_ = '../_base_/cifar100_30ep.py'
_decide = ('dpk, ratio 0', 'dpk, cka', 'kd + fitnet', 'dist')
methods = {
    '_delete_': True,
    **{name: dict(_base_.methods[name], seeds=[0, 1, 2]) for name in _decide},
    'alone': None,
    'kd': _base_.methods['kd'],
}
reference = 'dpk, ratio 0'  # it has three seeds
