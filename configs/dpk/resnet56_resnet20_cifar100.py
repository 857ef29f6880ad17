# DPK on CIFAR-100: ResNet-56 teaches ResNet-20.
_base_ = ['./_base_/models/resnet20_cifar.py', './_base_/dpk_cifar100.py']

neck, vit4, vit6 = _base_.dpk.neck, _base_.dpk.vit4, _base_.dpk.vit6

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='{{ fileDirname }}/cifar100/resnet56_cifar100.py:work_dirs/resnet56_cifar100/epoch_240.pth',
    stages=dict(
        layer3=dict(
            at='backbone.layer3',
            neck=dict(neck, encoder=dict(vit6, embed_dims=128), decoder=dict(vit4, embed_dims=80)),
            **_base_.dpk.last,
        ),
        layer2=dict(
            at='backbone.layer2',
            neck=dict(neck, encoder=dict(vit6, embed_dims=64), decoder=dict(vit6, embed_dims=48)),
            **_base_.dpk.lower,
        ),
        logits=_base_.dpk.logits,
    ),
)
