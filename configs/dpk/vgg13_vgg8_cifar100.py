# DPK on CIFAR-100: VGG-13 teaches VGG-8.
_base_ = ['./_base_/models/vgg8_cifar.py', './_base_/dpk_cifar100.py']

neck, vit4, vit6 = _base_.dpk.neck, _base_.dpk.vit4, _base_.dpk.vit6

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='{{ fileDirname }}/cifar100/vgg13_cifar100.py:work_dirs/vgg13_cifar100/epoch_240.pth',
    stages=dict(
        layer5=dict(
            at='backbone.layer5',
            neck=dict(neck, encoder=dict(vit6, embed_dims=320), decoder=dict(vit4, embed_dims=512)),
            **_base_.dpk.last,
        ),
        layer3=dict(
            at='backbone.layer3',
            neck=dict(neck, encoder=dict(vit6, embed_dims=160), decoder=dict(vit6, embed_dims=256)),
            **_base_.dpk.lower,
        ),
        logits=_base_.dpk.logits,
    ),
)
