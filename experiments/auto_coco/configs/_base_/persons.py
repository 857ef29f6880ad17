# The persons of coco_val_sub's images, shown with 224 pixels on the long side, in a schedule for a CPU core: 150
# steps. Train images, held-out images (every tenth) and test images are those of experiments/coco_val_sub.
_base_ = '../../../coco_val_sub/configs/_base_/coco_val_sub.py'
metainfo = dict(classes=('person',))

resize = dict(type='Resize', scale=(224, 224), keep_ratio=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    resize,
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'),
    ),
]
_loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(_loader, dataset=dict(metainfo=metainfo, pipeline=train_pipeline))
val_dataloader = dict(_loader, dataset=dict(metainfo=metainfo, pipeline=test_pipeline))
test_dataloader = dict(_loader, dataset=dict(metainfo=metainfo, pipeline=test_pipeline))
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=150, val_interval=10000)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, end=150, eta_min=0),
]
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(
        _delete_=True,
        type='dpk_mm.PlainCheckpointHook',
        by_epoch=False,
        interval=-1,
        save_last=True,
        save_optimizer=False,
    ),
)
log_processor = dict(by_epoch=False)
custom_hooks = [dict(type='dpk_mm.ChannelsLastHook')]
