# DPK's necks without prior knowledge: they see the student's tokens only.
_base_ = ['./retinanet_fpn64.py', './_base_/distil.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    stages=[
        _base_.dpk.fgd[0],
        *(dict(stage, prior=dict(type='dpk_mm.FixedPrior', ratio=0.0)) for stage in _base_.dpk.stages),
    ],
)
