# BCCD: 364 images of blood, 640 x 480, shown at 128 x 96, with masks that make_masks.py makes of the boxes. Of the
# 292 for training every fifth is for choosing anything (val_dataloader), no run trains on them; val.txt is for
# nothing but the tables (test_dataloader).
metainfo = dict(
    classes=('background', 'RBC', 'WBC', 'Platelets'),
    palette=[[0, 0, 0], [220, 20, 60], [0, 0, 230], [0, 200, 0]],
)
held_out = list(range(0, 292, 5))

resize = dict(type='Resize', scale=(128, 96), keep_ratio=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    resize,
    # a quarter each, and a quarter as it is: blood has no up
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackSegInputs'),
]
# the masks stay as large as they are
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train = dict(
    type='BaseSegDataset',
    metainfo=metainfo,
    ann_file='data/bccd_seg/train.txt',
    data_prefix=dict(img_path='data/bccd/images', seg_map_path='data/bccd_seg/masks'),
    img_suffix='.jpg',
    seg_map_suffix='.png',
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
    val_dataloader,
    dataset=dict(train, ann_file='data/bccd_seg/val.txt', pipeline=test_pipeline, test_mode=True),
)
val_evaluator = test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
