# A schedule for one CPU core: 6 epochs of 30 steps.
_base_ = 'mmseg::_base_/default_runtime.py'
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=6, val_interval=100)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', begin=0, end=6, eta_min=0, convert_to_iter_based=True),
]
log_processor = dict(by_epoch=True)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='dpk_mm.PlainCheckpointHook', interval=-1, save_last=True, save_optimizer=False),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [dict(type='dpk_mm.ChannelsLastHook')]
