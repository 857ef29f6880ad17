# mmdet's RetinaNet on MMPretrain's MobileNetV2, with levels of stride 8 to 64 for the sizes of blood cells.
# The rows say how wide neck and head are.
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'
# ImageNet weights. 'mmcls://mobilenet_v2', which MMPretrain publishes, has the same keys (mmdet's own
# MobileNetV2 has others, and would take the file with no more than a warning).
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
    neck=dict(in_channels=[24, 32, 96, 1280], add_extra_convs='on_output', num_outs=4),
    bbox_head=dict(
        num_classes=3,
        anchor_generator=dict(octave_base_scale=2, strides=[8, 16, 32, 64]),
    ),
)
