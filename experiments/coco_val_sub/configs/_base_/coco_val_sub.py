# 2,849 images of COCO's val2017 with 320 pixels on the long side, all 80 classes. Of the 2,312 for training
# every tenth is for choosing anything (val_dataloader), no run trains on them; val.json is for nothing but
# the tables (test_dataloader). The schedule is for one GPU and untuned: 24 epochs of 260 steps.
_base_ = 'mmdet::_base_/default_runtime.py'
data_root = 'data/coco_val_sub_320/'

resize = dict(type='Resize', scale=(320, 320), keep_ratio=True)
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
train = dict(type='CocoDataset', data_root=data_root, ann_file='train.json', data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(train, indices=[i for i in range(2312) if i % 10], pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(train, indices=list(range(0, 2312, 10)), pipeline=test_pipeline, test_mode=True),
)
test_dataloader = dict(
    val_dataloader, dataset=dict(train, ann_file='val.json', pipeline=test_pipeline, test_mode=True)
)
# Without ann_file the boxes are those of the images that were shown.
val_evaluator = dict(type='CocoMetric', metric='bbox')
test_evaluator = dict(type='CocoMetric', metric='bbox', ann_file=data_root + 'val.json')

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=24, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    # At the full rate the last layers of the backbone die, as their batch norms are frozen.
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
    clip_grad=dict(max_norm=10, norm_type=2),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=260),
    dict(type='CosineAnnealingLR', begin=0, end=24, eta_min=0, convert_to_iter_based=True),
]
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook', interval=4, max_keep_ckpts=1))
