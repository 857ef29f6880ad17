# DPK on CIFAR-100: VGG-13 teaches MobileNetV2.
_base_ = ['./_base_/models/mobilenet-v2_cifar.py', './_base_/dpk_cifar100.py']

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
            student_at='backbone.layer7',
            teacher_at='backbone.layer5',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=320, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=512, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.last,
        ),
        dict(
            student_at='backbone.layer5',
            teacher_at='backbone.layer3',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=128, num_layers=6, num_heads=4),
                decoder=dict(embed_dims=256, num_layers=4, num_heads=4),
            ),
            **_base_.dpk.lower,
        ),
    ],
)
optim_wrapper = dict(optimizer=dict(lr=0.01))  # as the student alone
