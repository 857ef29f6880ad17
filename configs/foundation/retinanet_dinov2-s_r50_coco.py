# A foundation model teaches a detector: DINOv2's ViT-S/14 (Oquab et al., 2023) to RetinaNet R50, mmdet's 2x
# schedule on COCO. The last map of the backbone learns the patch tokens by spatial cosine, as RT-DETRv4
# does with DINOv3. Only the ViT runs, on images padded to whole patches and in ImageNet's mean and std.
# MMPretrain publishes the weights. Offline, fetch this file elsewhere and put it where the error says:
# https://download.openmmlab.com/mmpretrain/v1.0/dinov2/vit-small-p14_dinov2-pre_3rdparty_20230426-5641ca5a.pth
# There is no usual weight of the loss for a RetinaNet, so the weight finds itself.
_base_ = ['mmdet::retinanet/retinanet_r50_fpn_2x_coco.py']

model = dict(
    _delete_=True,
    type='dpk_mm.Distiller',
    student=_base_.model,
    teacher='mmpretrain::dinov2/vit-small-p14_dinov2-pre_headless.py',
    stages=dict(
        layer4=dict(
            student_at='backbone.layer4',
            teacher_at='backbone.ln1[tokens/14+1]',
            loss=dict(type='dpk_mm.SpatialCosineLoss', loss_weight='auto'),
        )
    ),
)
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
