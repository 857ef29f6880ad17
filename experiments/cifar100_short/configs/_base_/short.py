# A schedule for two CPU cores: 3 epochs of 45,000 of the training images. The other 5,000 are for choosing
# anything (val_dataloader), the test images for nothing but the tables (test_dataloader).
_base_ = '../../../../configs/dpk/_base_/cifar100.py'
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    dataset=dict(indices=45000),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(split='train', indices=list(range(45000, 50000))),
)
test_dataloader = dict(num_workers=0, persistent_workers=False)
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', begin=0, end=3, eta_min=0, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=3, val_interval=1)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=-1, save_last=True))
custom_hooks = [dict(type='dpk_mm.ChannelsLastHook')]
