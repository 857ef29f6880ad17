# The teacher: mmdet's head, and trained for longer. The schedule is retinanet_fpn128.py's, untuned here.
_base_ = ['./_base_/faster-rcnn_mobilenet-v2.py', './_base_/bccd.py', './_base_/short.py']
optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', begin=0, end=16, eta_min=0, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=16)
