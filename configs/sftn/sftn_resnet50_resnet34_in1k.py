# SFTN on ImageNet: a ResNet-50 that is easy to learn from for a ResNet-34, by mmpretrain's recipe.
_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'

model = dict(
    _delete_=True,
    type='dpk_mm.SFTN',
    teacher=_base_.model,
    student='mmpretrain::resnet/resnet34_8xb32_in1k.py',
    blocks=['backbone.layer1', 'backbone.layer2', 'backbone.layer3', 'backbone.layer4'],
)
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
