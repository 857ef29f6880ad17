# DPK on ImageNet: ResNet-34 teaches ResNet-18, which starts from scratch.
_base_ = ['mmpretrain::_base_/models/resnet18.py', './_base_/dpk_in1k.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher=dict(config='mmpretrain::resnet/resnet34_8xb32_in1k.py', checkpoint='hub'),
    stages=[
        dict(
            at='backbone.layer4',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                min_teacher_tokens=4,
                encoder=dict(embed_dims=512, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=512, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.stage,
        ),
        dict(
            at='backbone.layer3',
            neck=dict(
                type='dpk_mm.FeatureMixingNeck',
                min_teacher_tokens=4,
                encoder=dict(embed_dims=256, num_layers=6, num_heads=8),
                decoder=dict(embed_dims=256, num_layers=4, num_heads=8),
            ),
            **_base_.dpk.stage,
        ),
    ],
)
