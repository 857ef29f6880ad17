_base_ = './cifar_classifier.py'
model = dict(backbone=dict(type='dpk_mm.CIFARVGG', depth=13), head=dict(in_channels=512))
