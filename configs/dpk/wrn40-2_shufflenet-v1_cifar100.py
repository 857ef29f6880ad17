# DPK on CIFAR-100: WRN-40-2 teaches ShuffleNetV1.
# Maps of WRNs are those of the norm that ends a stage, before its ReLU, as in the authors' code.
_base_ = ['./_base_/models/shufflenet-v1_cifar.py', './_base_/dpk_cifar100.py']

neck, vit4, vit6 = _base_.dpk.neck, _base_.dpk.vit4, _base_.dpk.vit6

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='{{ fileDirname }}/cifar100/wrn40-2_cifar100.py:work_dirs/wrn40-2_cifar100/epoch_240.pth',
    stages=dict(
        layer3=dict(
            student_at='backbone.layer3',
            teacher_at='backbone.layer3.6',
            neck=dict(neck, encoder=dict(vit6, embed_dims=320), decoder=dict(vit4, embed_dims=128)),
            **_base_.dpk.last,
        ),
        layer2=dict(
            student_at='backbone.layer2',
            teacher_at='backbone.layer2.6',
            neck=dict(neck, encoder=dict(vit6, embed_dims=256), decoder=dict(vit4, embed_dims=128)),
            **_base_.dpk.lower,
        ),
        logits=_base_.dpk.logits,
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.01))  # as the student alone
