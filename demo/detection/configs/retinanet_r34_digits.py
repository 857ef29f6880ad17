# The teacher: deeper, and trained for longer; neck and head are those of the student. The weights beside this
# file are those of its last checkpoint, in half precision:
#   OMP_NUM_THREADS=1 python tools/train.py demo/detection/configs/retinanet_r34_digits.py
_base_ = './retinanet_r18_digits.py'
model = dict(backbone=dict(depth=34))
train_cfg = dict(max_epochs=16)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', begin=0, end=16, eta_min=0, convert_to_iter_based=True),
]
randomness = dict(seed=0)
