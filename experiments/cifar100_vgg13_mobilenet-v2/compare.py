# VGG-13 teaches MobileNetV2 on CIFAR-100 for 240 epochs:
#   python tools/train.py configs/dpk/cifar100/vgg13_cifar100.py --cfg-options randomness.seed=0
#   python tools/train.py configs/sftn/sftn_vgg13_mobilenet-v2_cifar100.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/cifar100_vgg13_mobilenet-v2/compare.py \
#     --out experiments/cifar100_vgg13_mobilenet-v2 --jobs 4
_base_ = '../_base_/cifar100.py'
base = 'configs/dpk/cifar100/mobilenet-v2_cifar100.py'
teacher = dict(
    config='configs/dpk/cifar100/vgg13_cifar100.py', checkpoint='work_dirs/vgg13_cifar100/epoch_240.pth'
)
_dpk = 'configs/dpk/vgg13_mobilenet-v2_cifar100.py'
_sftn = dict(teacher, checkpoint='work_dirs/sftn_vgg13_mobilenet-v2_cifar100/epoch_240.pth')
_names = dict(layer3='layer7', layer2='layer5')


def _renamed(options) -> dict:
    """Options of DPK's stages, which have other names in a MobileNetV2."""
    renamed = {'.'.join(_names.get(part, part) for part in key.split('.')): options[key] for key in options}
    return dict(_delete_=True, **renamed)


methods = {
    'dkd': dict(model=dict(stages=dict(logits=dict(loss=dict(beta=6.0))))),  # the authors' for this pair
    # The benchmark's place for this pair: where both have maps of 8x8.
    'fitnet': dict(
        model=dict(
            stages=dict(
                _delete_=True,
                layer3=dict(at='backbone.layer3', loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=100.0)),
            ),
        ),
    ),
    **{
        name: dict(config=_dpk, options=_renamed(row.options))
        for name, row in _base_.methods.items()
        if name.startswith('dpk')
    },
    'kd, sftn': dict(teacher=_sftn),
    'dpk, cka, sftn': dict(config=_dpk, teacher=_sftn),
}
# At 240 epochs: the student, KD and FitNet by Tian et al. (CRD, ICLR 2020), DKD by its authors.
published = {'alone': 64.60, 'kd': 67.37, 'dkd': 69.71, 'fitnet': 64.14}
