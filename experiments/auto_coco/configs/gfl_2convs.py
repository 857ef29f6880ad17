# The teacher: two convolutions in each branch of its head, and a longer training.
_base_ = ['./_base_/gfl_mobilenet-v2.py', './_base_/persons.py']
model = dict(bbox_head=dict(stacked_convs=2))
train_cfg = dict(max_iters=1000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=1000, eta_min=0),
]
