# KD (Hinton et al., 2015) of each pixel, SegFormer MiT-B3 -> MiT-B0, upstream's 160,000 iterations on crops
# of 1024 x 1024 of Cityscapes. Pixels without a label (255) are left out. T = 1 is ours, and the weight finds
# itself: no published one was at hand.
_base_ = ['mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py']

model = dict(
    _delete_=True,
    type='dpk_mm.Distiller',
    student=_base_.model,
    teacher='mmseg::segformer/segformer_mit-b3_8xb1-160k_cityscapes-1024x1024.py',
    input_shape=(1024, 1024),
    stages=dict(
        logits=dict(
            at='decode_head.conv_seg',
            loss=dict(type='dpk_mm.LogitsKLLoss', temperature=1.0, loss_weight='auto'),
        )
    ),
)
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
