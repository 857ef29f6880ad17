# Logit distillation alone.
_base_ = ['../../../configs/dpk/_base_/models/resnet8_cifar.py', './_base_/distil.py']

model = dict(
    _delete_=True, **_base_.dpk.distiller, student=_base_.model, stages=dict(logits=_base_.dpk.logits)
)
