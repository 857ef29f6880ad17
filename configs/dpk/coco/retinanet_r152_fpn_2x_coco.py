# Plain teacher (upstream has none): mmdet's RetinaNet with a ResNet-152, 2x schedule.
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_2x_coco.py'
model = dict(
    backbone=dict(depth=152, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet152')),
)
