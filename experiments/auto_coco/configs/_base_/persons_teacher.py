# The longer schedule of teachers, 1,000 steps.
_base_ = './persons.py'
train_cfg = dict(max_iters=1000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=1000, eta_min=0),
]
