_base_ = './cifar_classifier.py'
model = dict(backbone=dict(type='dpk_mm.CIFARShuffleNetV1', groups=3), head=dict(in_channels=960))
