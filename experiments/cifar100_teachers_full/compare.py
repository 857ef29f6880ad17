# Does a larger teacher give a better student? Five teach a ResNet-20 on CIFAR-100 for 240 epochs, by KD and
# by DPK:
#   for name in resnet32 resnet56 resnet110 wrn40-2 resnet32x4; do
#     python tools/train.py configs/dpk/cifar100/${name}_cifar100.py --cfg-options randomness.seed=0
#   done
#   python tools/compare.py experiments/cifar100_teachers_full/compare.py \
#     --out experiments/cifar100_teachers_full --jobs 4
_base_ = '../_base_/cifar100.py'
base = 'configs/dpk/cifar100/resnet20_cifar100.py'
# Deeper first, then wider: by the usual benchmark the accuracy grows in this order.
_teachers = {
    name: dict(
        config=f'configs/dpk/cifar100/{name}_cifar100.py',
        checkpoint=f'work_dirs/{name}_cifar100/epoch_240.pth',
    )
    for name in ('resnet32', 'resnet56', 'resnet110', 'wrn40-2', 'resnet32x4')
}
# One pair's necks for all, so that the teachers alone differ; what goes in and comes out takes their width.
_dpk = 'configs/dpk/resnet56_resnet20_cifar100.py'
methods = {
    '_delete_': True,
    'alone': None,
    **{f'kd, {name}': dict(_base_.methods.kd, teacher=given) for name, given in _teachers.items()},
    **{
        f'dpk, {name}': dict(options=_base_.methods['dpk, cka'].options, config=_dpk, teacher=given)
        for name, given in _teachers.items()
    },
}
reference = None  # each teacher has its own KD
