_base_ = './cifar_classifier.py'
model = dict(
    backbone=dict(type='dpk_mm.CIFARResNet', depth=32, base_channels=64, stem_channels=32),
    head=dict(in_channels=256),
)
