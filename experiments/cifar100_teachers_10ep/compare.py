# Does a larger teacher give a better student? The four of cifar100_teachers, trained for 60 epochs each, teach a
# ResNet-8 for ten, by KD and by the DPK of cifar100_30ep that did best there:
#   for name in resnet14 resnet20 resnet32 sftn_resnet20_resnet8; do
#     python tools/train.py experiments/cifar100_30ep/configs/$name.py --cfg-options randomness.seed=0
#     cp work_dirs/$name/epoch_60.pth experiments/cifar100_30ep/configs/$name.pth
#   done
#   export PYTHONPATH=$PWD
#   python tools/compare.py experiments/cifar100_teachers_10ep/compare.py --out experiments/cifar100_teachers_10ep
_base_ = '../cifar100_30ep/compare.py'
budget = dict(max_epochs=10)
_folder = 'experiments/cifar100_30ep/configs'
_others = {
    'ResNet-14': dict(config=f'{_folder}/resnet14.py', checkpoint=f'{_folder}/resnet14.pth'),
    'ResNet-32': dict(config=f'{_folder}/resnet32.py', checkpoint=f'{_folder}/resnet32.pth'),
    # trained to be easy to learn from
    'SFTN ResNet-20': dict(
        config=f'{_folder}/resnet20.py', checkpoint=f'{_folder}/sftn_resnet20_resnet8.pth'
    ),
}
_learn = dict(kd=_base_.methods['kd'], dpk=_base_.methods['dpk, ratio 0'])
methods = {
    '_delete_': True,
    'alone': None,
    **{f'{name}, ResNet-20': dict(row, seeds=[0, 1, 2]) for name, row in _learn.items()},
    **{
        f'{name}, {teacher}': dict(row, seeds=[0, 1, 2], teacher=given)
        for name, row in _learn.items()
        for teacher, given in _others.items()
    },
}
reference = None  # each teacher has its own KD
