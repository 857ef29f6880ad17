# The schedule of teachers: ten epochs. What they learned is kept beside their configs, as .pth.
_base_ = './short.py'
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', begin=0, end=10, eta_min=0, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=10)
