# DPK on ImageNet: ResNet-50 teaches ResNet-18, which starts from scratch.
_base_ = ['mmpretrain::_base_/models/resnet18.py', './_base_/dpk_in1k.py']

neck, vit4, vit6 = _base_.dpk.neck, _base_.dpk.vit4, _base_.dpk.vit6

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    teacher='mmpretrain::resnet/resnet50_8xb32_in1k.py',
    stages=dict(
        layer4=dict(
            at='backbone.layer4',
            neck=dict(neck, encoder=dict(vit6, embed_dims=640), decoder=dict(vit4, embed_dims=1024)),
            **_base_.dpk.stage,
        ),
        layer3=dict(
            at='backbone.layer3',
            neck=dict(neck, encoder=dict(vit4, embed_dims=512), decoder=dict(vit4, embed_dims=1024)),
            **_base_.dpk.stage,
        ),
        logits=_base_.dpk.logits,
    ),
)
