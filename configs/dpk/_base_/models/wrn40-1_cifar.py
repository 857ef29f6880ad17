_base_ = './cifar_classifier.py'
model = dict(
    backbone=dict(type='dpk_mm.CIFARWideResNet', depth=40, widen_factor=1), head=dict(in_channels=64)
)
