# ResNet-32x4 teaches ResNet-8x4 on CIFAR-100 for 240 epochs:
#   python tools/train.py configs/dpk/cifar100/resnet32x4_cifar100.py --cfg-options randomness.seed=0
#   python tools/train.py configs/sftn/sftn_resnet32x4_resnet8x4_cifar100.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/cifar100_resnet32x4_resnet8x4/compare.py \
#     --out experiments/cifar100_resnet32x4_resnet8x4 --jobs 4
_base_ = '../_base_/cifar100.py'
base = 'configs/dpk/cifar100/resnet8x4_cifar100.py'
teacher = dict(
    config='configs/dpk/cifar100/resnet32x4_cifar100.py',
    checkpoint='work_dirs/resnet32x4_cifar100/epoch_240.pth',
)
_dpk = 'configs/dpk/resnet32x4_resnet8x4_cifar100.py'
_sftn = dict(teacher, checkpoint='work_dirs/sftn_resnet32x4_resnet8x4_cifar100/epoch_240.pth')
methods = {
    **{name: dict(config=_dpk) for name in _base_.methods if name.startswith('dpk')},
    'kd, sftn': dict(teacher=_sftn),
    'dpk, cka, sftn': dict(config=_dpk, teacher=_sftn),
}
# At 240 epochs: the student, KD and FitNet by Tian et al. (CRD, ICLR 2020), DIST and DKD by their authors.
published = {'alone': 72.50, 'kd': 73.33, 'dkd': 76.32, 'dist': 76.31, 'fitnet': 73.50}
