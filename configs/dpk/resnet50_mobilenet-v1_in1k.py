# DPK on ImageNet: ResNet-50 teaches MobileNetV1, which starts from scratch.
_base_ = ['./_base_/models/mobilenet-v1.py', './_base_/dpk_in1k.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher=dict(config='mmpretrain::resnet/resnet50_8xb32_in1k.py', checkpoint='hub'),
    stages=[
        dict(
            student_at='backbone.layer5',
            teacher_at='backbone.layer4',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                min_teacher_tokens=4,
                encoder=dict(embed_dims=640, num_layers=4, num_heads=8),
                decoder=dict(embed_dims=1536, num_layers=4, num_heads=16),
            ),
            **_base_.dpk.stage,
        ),
        dict(
            student_at='backbone.layer4',
            teacher_at='backbone.layer3',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                min_teacher_tokens=4,
                encoder=dict(embed_dims=512, num_layers=4, num_heads=8),
                decoder=dict(embed_dims=640, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.stage,
        ),
    ],
)
