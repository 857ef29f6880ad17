_base_ = './cifar_classifier.py'
model = dict(backbone=dict(type='dpk_mm.CIFARShuffleNetV2', widen_factor=1.0), head=dict(in_channels=1024))
