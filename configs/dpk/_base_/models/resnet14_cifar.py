_base_ = './cifar_classifier.py'
model = dict(backbone=dict(type='dpk_mm.CIFARResNet', depth=14), head=dict(in_channels=64))
