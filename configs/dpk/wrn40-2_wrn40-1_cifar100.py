# DPK on CIFAR-100: WRN-40-2 teaches WRN-40-1.
# Maps of WRNs are those of the norm that ends a stage, before its ReLU, as in the authors' code.
_base_ = ['./_base_/models/wrn40-1_cifar.py', './_base_/dpk_cifar100.py']

neck, vit4, vit6 = _base_.dpk.neck, _base_.dpk.vit4, _base_.dpk.vit6

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='{{ fileDirname }}/cifar100/wrn40-2_cifar100.py:work_dirs/wrn40-2_cifar100/epoch_240.pth',
    stages=dict(
        layer3=dict(
            at='backbone.layer3.6',
            neck=dict(neck, encoder=dict(vit6, embed_dims=80), decoder=dict(vit4, embed_dims=128)),
            **_base_.dpk.last,
        ),
        layer2=dict(
            at='backbone.layer2.6',
            neck=dict(
                neck,
                encoder=dict(vit6, embed_dims=64, num_heads=4),
                decoder=dict(vit4, embed_dims=80, num_heads=4),
            ),
            **_base_.dpk.lower,
        ),
        logits=_base_.dpk.logits,
    ),
)
