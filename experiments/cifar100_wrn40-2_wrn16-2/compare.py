# WRN-40-2 teaches WRN-16-2 on CIFAR-100 for 240 epochs:
#   python tools/train.py configs/dpk/cifar100/wrn40-2_cifar100.py --cfg-options randomness.seed=0
#   python tools/train.py configs/sftn/sftn_wrn40-2_wrn16-2_cifar100.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/cifar100_wrn40-2_wrn16-2/compare.py \
#     --out experiments/cifar100_wrn40-2_wrn16-2 --jobs 4
_base_ = '../_base_/cifar100.py'
base = 'configs/dpk/cifar100/wrn16-2_cifar100.py'
teacher = dict(
    config='configs/dpk/cifar100/wrn40-2_cifar100.py', checkpoint='work_dirs/wrn40-2_cifar100/epoch_240.pth'
)
_dpk = 'configs/dpk/wrn40-2_wrn16-2_cifar100.py'
_sftn = dict(teacher, checkpoint='work_dirs/sftn_wrn40-2_wrn16-2_cifar100/epoch_240.pth')
methods = {
    'dkd': dict(model=dict(stages=dict(logits=dict(loss=dict(beta=6.0))))),  # the authors' for this pair
    **{name: dict(config=_dpk) for name in _base_.methods if name.startswith('dpk')},
    'kd, sftn': dict(teacher=_sftn),
    'dpk, cka, sftn': dict(config=_dpk, teacher=_sftn),
}
# At 240 epochs: the student, KD and FitNet by Tian et al. (CRD, ICLR 2020), DKD by its authors.
published = {'alone': 73.26, 'kd': 74.92, 'dkd': 76.23, 'fitnet': 73.58}
