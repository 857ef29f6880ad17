_base_ = './cifar_classifier.py'
model = dict(backbone=dict(type='dpk_mm.CIFARMobileNetV2', widen_factor=0.5), head=dict(in_channels=1280))
