# DPK on CIFAR-100: WRN-40-2 teaches WRN-16-2.
# Maps of WRNs are those of the norm that ends a stage, before its ReLU, as in the authors' code.
_base_ = ['./_base_/models/wrn16-2_cifar.py', './_base_/dpk_cifar100.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/cifar100/wrn40-2_cifar100.py',
        checkpoint='work_dirs/wrn40-2_cifar100/epoch_240.pth',
    ),
    stages=[
        dict(
            student_at='backbone.layer3.2',
            teacher_at='backbone.layer3.6',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=256, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=256, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.last,
        ),
        dict(
            student_at='backbone.layer2.2',
            teacher_at='backbone.layer2.6',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                encoder=dict(embed_dims=128, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=128, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.lower,
        ),
    ],
)
