# CWD (Shu et al., ICCV 2021) on the logits, PSPNet R101 -> R18, upstream's 80,000 iterations on crops of
# 512 x 1024 of Cityscapes. T = 1 and weight 5 are MMRazor's for this pair (benchmark code), which reports
# 75.54 mIoU, and 74.87 for the student alone.
_base_ = ['mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py']

model = dict(
    _delete_=True,
    type='dpk_mm.Distiller',
    student=_base_.model,
    teacher='mmseg::pspnet/pspnet_r101-d8_4xb2-80k_cityscapes-512x1024.py',
    input_shape=(512, 1024),
    stages=dict(
        logits=dict(
            at='decode_head.conv_seg', loss=dict(type='dpk_mm.CWDLoss', temperature=1.0, loss_weight=5.0)
        )
    ),
)
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
