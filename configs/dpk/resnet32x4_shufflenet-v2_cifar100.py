# DPK on CIFAR-100: ResNet-32x4 teaches ShuffleNetV2.
_base_ = ['./_base_/models/shufflenet-v2_cifar.py', './_base_/dpk_cifar100.py']

neck, vit4, vit6 = _base_.dpk.neck, _base_.dpk.vit4, _base_.dpk.vit6

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='{{ fileDirname }}/cifar100/resnet32x4_cifar100.py:work_dirs/resnet32x4_cifar100/epoch_240.pth',
    stages=dict(
        layers_2=dict(
            student_at='backbone.layers.2',
            teacher_at='backbone.layer3',
            neck=dict(neck, encoder=dict(vit6, embed_dims=256), decoder=dict(vit4, embed_dims=256)),
            **_base_.dpk.last,
        ),
        layers_1=dict(
            student_at='backbone.layers.1',
            teacher_at='backbone.layer2',
            neck=dict(neck, encoder=dict(vit6, embed_dims=128), decoder=dict(vit4, embed_dims=128)),
            **_base_.dpk.lower,
        ),
        logits=_base_.dpk.logits,
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.01))  # as the student alone
