# DPK on ImageNet: ResNet-50 teaches MobileNetV1, which starts from scratch.
_base_ = ['./_base_/models/mobilenet-v1.py', './_base_/dpk_in1k.py']

neck, vit4 = _base_.dpk.neck, _base_.dpk.vit4

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmpretrain::resnet/resnet50_8xb32_in1k.py',
    stages=dict(
        layer5=dict(
            student_at='backbone.layer5',
            teacher_at='backbone.layer4',
            neck=dict(
                neck, encoder=dict(vit4, embed_dims=640), decoder=dict(vit4, embed_dims=1536, num_heads=16)
            ),
            **_base_.dpk.stage,
        ),
        layer4=dict(
            student_at='backbone.layer4',
            teacher_at='backbone.layer3',
            neck=dict(neck, encoder=dict(vit4, embed_dims=512), decoder=dict(vit4, embed_dims=640)),
            **_base_.dpk.stage,
        ),
        logits=_base_.dpk.logits,
    ),
)
