# DPK on ImageNet: ResNet-152 teaches ResNet-18, which starts from scratch.
_base_ = './resnet101_resnet18_in1k.py'

model = dict(
    teacher='mmpretrain::resnet/resnet152_8xb32_in1k.py',
    stages=dict(layer3=dict(neck=dict(encoder=dict(num_layers=6)))),
)
