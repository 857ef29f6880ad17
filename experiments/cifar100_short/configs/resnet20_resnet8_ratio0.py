# DPK's necks without prior knowledge: they see the student's tokens only.
_base_ = ['../../../configs/dpk/_base_/models/resnet8_cifar.py', './_base_/distil.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    stages=dict(
        {
            name: dict(stage, prior=dict(type='dpk_mm.FixedPrior', ratio=0.0))
            for name, stage in _base_.dpk.stages.items()
        },
        logits=_base_.dpk.logits,
    ),
)
optim_wrapper = _base_.dpk.optim_wrapper
