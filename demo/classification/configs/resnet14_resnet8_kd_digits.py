# The student with logit distillation alone.
_base_ = './resnet8_digits.py'
model = dict(
    _delete_=True,
    type='dpk_mm.Distiller',
    student=_base_.model,
    teacher=dict(
        config='{{ fileDirname }}/resnet14_digits.py',
        checkpoint='work_dirs/demo_cls/teacher/epoch_2.pth',  # `make demo-cls` trains it
    ),
    input_shape=(16, 16),
    stages=[],
    logits=dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=1.0)),
)
