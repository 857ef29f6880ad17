# A GFL on MMPretrain's MobileNetV2, with levels of stride 8 to 64. The rows say how deep the head is; losses and
# assigner are those of mmdet's gfl_r50_fpn_1x_coco.py, whose data and schedule make it no base.
# As in experiments/bccd/configs/_base_/retinanet_mobilenet-v2.py.
checkpoint = 'data/mobilenet_v2_imagenet/mobilenet_v2_mmpretrain.pth'
model = dict(
    type='GFL',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='mmpretrain.MobileNetV2',
        out_indices=(1, 2, 4, 7),
        frozen_stages=2,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.'),
    ),
    neck=dict(
        type='FPN',
        in_channels=[24, 32, 96, 1280],
        out_channels=128,
        start_level=1,
        add_extra_convs='on_output',
        num_outs=4,
    ),
    bbox_head=dict(
        type='GFLHead',
        num_classes=1,
        in_channels=128,
        feat_channels=128,
        stacked_convs=1,
        reg_max=16,
        anchor_generator=dict(
            type='AnchorGenerator',
            ratios=[1.0],
            octave_base_scale=4,
            scales_per_octave=1,
            strides=[8, 16, 32, 64],
        ),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_dfl=dict(type='DistributionFocalLoss', loss_weight=0.25),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
    ),
    train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100,
    ),
)
