# mmdet's Faster R-CNN on MMPretrain's MobileNetV2, with anchors half as large for the sizes of blood cells.
# Student and teacher say how wide their heads are.
_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'
# As in retinanet_mobilenet-v2.py.
checkpoint = 'data/mobilenet_v2_imagenet/mobilenet_v2_mmpretrain.pth'
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.MobileNetV2',
        out_indices=(1, 2, 4, 7),
        frozen_stages=2,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.'),
    ),
    neck=dict(in_channels=[24, 32, 96, 1280], out_channels=128),
    rpn_head=dict(in_channels=128, feat_channels=128, anchor_generator=dict(scales=[4])),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=128), bbox_head=dict(in_channels=128, num_classes=3)),
)
