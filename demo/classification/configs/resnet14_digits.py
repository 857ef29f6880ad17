# The teacher: deeper and wider.
_base_ = './resnet8_digits.py'
model = dict(backbone=dict(depth=14, base_channels=16), head=dict(in_channels=64))
optim_wrapper = dict(optimizer=dict(lr=0.05))
