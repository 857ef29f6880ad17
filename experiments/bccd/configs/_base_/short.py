# A schedule for two CPU cores: 5 epochs of 30 steps.
_base_ = 'mmdet::_base_/default_runtime.py'
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=5, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', begin=0, end=5, eta_min=0, convert_to_iter_based=True),
]
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(type='dpk_mm.PlainCheckpointHook', interval=-1, save_last=True, save_optimizer=False),
)
custom_hooks = [dict(type='dpk_mm.ChannelsLastHook')]
