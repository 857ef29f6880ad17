# DPK on CIFAR-100: ResNet-32x4 teaches ShuffleNetV1.
_base_ = ['./_base_/models/shufflenet-v1_cifar.py', './_base_/dpk_cifar100.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/cifar100/resnet32x4_cifar100.py',
        checkpoint='work_dirs/resnet32x4_cifar100/epoch_240.pth',
    ),
    stages=[
        dict(
            at='backbone.layer3',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=512, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=256, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.last,
        ),
        dict(
            at='backbone.layer2',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=256, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=128, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.lower,
        ),
    ],
)
optim_wrapper = dict(optimizer=dict(lr=0.01))  # as the student alone
