# The teacher: deeper and wider. It is trained once, and teaches the students of all seeds.
_base_ = './resnet8_digits.py'
model = dict(backbone=dict(depth=14, base_channels=16), head=dict(in_channels=64))
optim_wrapper = dict(optimizer=dict(lr=0.05))
randomness = dict(seed=0)
log_level = 'WARNING'
