# DPK on ImageNet: ResNet-101 teaches ResNet-18, which starts from scratch.
_base_ = './resnet50_resnet18_in1k.py'

decoder = dict(num_heads=16)
model = dict(
    teacher='mmpretrain::resnet/resnet101_8xb32_in1k.py',
    stages=dict(layer4=dict(neck=dict(decoder=decoder)), layer3=dict(neck=dict(decoder=decoder))),
)
