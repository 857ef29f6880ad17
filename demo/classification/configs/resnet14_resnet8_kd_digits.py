# The student with logit distillation alone.
_base_ = './resnet8_digits.py'

kd = dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=1.0)
model = dict(
    _delete_=True,
    type='dpk_mm.Distiller',
    student=_base_.model,
    # `make demo-cls` trains it
    teacher='{{ fileDirname }}/resnet14_digits.py:work_dirs/demo_cls/teacher/epoch_2.pth',
    input_shape=(16, 16),
    stages=dict(logits=dict(at='head.fc', loss=kd)),
)
