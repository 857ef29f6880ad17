# DPK on CIFAR-100: VGG-13 teaches VGG-8.
_base_ = ['./_base_/models/vgg8_cifar.py', './_base_/dpk_cifar100.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/cifar100/vgg13_cifar100.py',
        checkpoint='work_dirs/vgg13_cifar100/epoch_240.pth',
    ),
    stages=[
        dict(
            at='backbone.layer5',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=320, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=512, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.last,
        ),
        dict(
            at='backbone.layer3',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=160, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=256, num_layers=6, num_heads=8),
            ),
            **_base_.dpk.lower,
        ),
    ],
)
