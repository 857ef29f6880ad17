# Logit distillation alone.
_base_ = './resnet8.py'

model = dict(
    _delete_=True,
    type='dpk_mm.DPKDistiller',
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/resnet20.py',
        checkpoint='work_dirs/cifar100_short/resnet20/epoch_10.pth',
    ),
    input_shape=(32, 32),
    stages=[],
    logits=dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=1.0)),
)
