# BCCD: 364 images of blood, 640 x 480, shown at half their size. Of the 292 for training every fifth is for
# choosing anything (val_dataloader), no run trains on them; val.json is for nothing but the tables
# (test_dataloader).
data_root = 'data/bccd/'
metainfo = dict(classes=('RBC', 'WBC', 'Platelets'))
held_out = list(range(0, 292, 5))

resize = dict(type='Resize', scale=(320, 240), keep_ratio=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    resize,
    # a quarter each, and a quarter as it is: blood has no up
    dict(type='RandomFlip', prob=0.75, direction=['horizontal', 'vertical', 'diagonal']),
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
train = dict(
    type='CocoDataset',
    data_root=data_root,
    metainfo=metainfo,
    ann_file='train.json',
    data_prefix=dict(img='images/'),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(train, indices=[i for i in range(292) if i % 5], pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(train, indices=held_out, pipeline=test_pipeline, test_mode=True),
)
test_dataloader = dict(
    val_dataloader, dataset=dict(train, ann_file='val.json', pipeline=test_pipeline, test_mode=True)
)
# Without ann_file the boxes are those of the images that were shown.
val_evaluator = dict(type='CocoMetric', metric='bbox')
test_evaluator = dict(type='CocoMetric', metric='bbox', ann_file=data_root + 'val.json')
