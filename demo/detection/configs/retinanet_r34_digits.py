# The teacher: deeper, and trained for longer; neck and head are those of the student.
_base_ = './retinanet_r18_digits.py'
model = dict(backbone=dict(depth=34))
train_cfg = dict(max_epochs=16)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', begin=0, end=16, eta_min=0, convert_to_iter_based=True),
]
