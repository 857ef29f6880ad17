# The best of DPK's rows in this short schedule: necks without prior knowledge, and losses of features 333
# times the authors'. docs/RESULTS.md has the figures; plain FitNet is better still.
_base_ = ['../dpk/_base_/models/resnet8_cifar.py', './_base_/distil.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    stages=[
        dict(
            stage, prior=dict(type='dpk_mm.FixedPrior', ratio=0.0), loss=dict(stage.loss, loss_weight=weight)
        )
        for stage, weight in zip(_base_.dpk.stages, (100.0, 60.0))
    ],
)
optim_wrapper = _base_.dpk.optim_wrapper
