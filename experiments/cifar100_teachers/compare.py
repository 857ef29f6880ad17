# One student, a ResNet-8, and four teachers: does the better teacher make the better student? Schedule and
# weights are those of cifar100_short.
#   python tools/compare.py experiments/cifar100_teachers/compare.py --out experiments/cifar100_teachers
base = 'experiments/cifar100_short/configs/resnet8.py'
_folder = 'experiments/cifar100_short/configs'
teacher = dict(config=f'{_folder}/resnet20.py', checkpoint=f'{_folder}/resnet20.pth')
_others = {
    'ResNet-14': dict(config=f'{_folder}/resnet14.py', checkpoint=f'{_folder}/resnet14.pth'),
    'ResNet-32': dict(config=f'{_folder}/resnet32.py', checkpoint=f'{_folder}/resnet32.pth'),
    # trained to be easy to learn from
    'SFTN ResNet-20': dict(
        config=f'{_folder}/resnet20.py', checkpoint=f'{_folder}/sftn_resnet20_resnet8.pth'
    ),
}
_kd = dict(config=f'{_folder}/resnet20_resnet8_kd.py')
_dpk = dict(
    config=f'{_folder}/resnet20_resnet8_dpk.py',
    options={'model.stages.layer3.loss.loss_weight': 100.0, 'model.stages.layer2.loss.loss_weight': 60.0},
)
methods = {
    'alone': None,
    'kd, ResNet-20': _kd,
    **{f'kd, {name}': dict(_kd, teacher=other) for name, other in _others.items()},
    'dpk, ResNet-20': _dpk,
    **{f'dpk, {name}': dict(_dpk, teacher=other) for name, other in _others.items()},
}
seeds = [0, 1, 2]
