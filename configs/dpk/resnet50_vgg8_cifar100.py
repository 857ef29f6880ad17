# DPK on CIFAR-100: ResNet-50 teaches VGG-8.
_base_ = ['./_base_/models/vgg8_cifar.py', './_base_/dpk_cifar100.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/cifar100/resnet50_cifar100.py',
        checkpoint='work_dirs/resnet50_cifar100/epoch_240.pth',
    ),
    stages=[
        dict(
            student_at='backbone.layer5',
            teacher_at='backbone.layer4',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=640, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=1536, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.last,
        ),
        dict(
            at='backbone.layer3',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=512, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=1024, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.lower,
        ),
    ],
)
