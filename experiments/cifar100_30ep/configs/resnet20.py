# The teacher: 60 epochs of the images and the recipe of experiments/cifar100_short, in bfloat16.
_base_ = '../../cifar100_short/configs/resnet20.py'
custom_imports = dict(imports=['experiments.cifar100_30ep.bfloat16'])
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=200),
    dict(type='CosineAnnealingLR', begin=0, end=60, eta_min=0, convert_to_iter_based=True),
]
optim_wrapper = dict(type='BFloat16OptimWrapper')
train_cfg = dict(max_epochs=60, val_interval=5)
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=2))
