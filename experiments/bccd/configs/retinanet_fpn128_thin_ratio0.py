# DPK's necks without prior knowledge. From the teacher's neck and head.
_base_ = ['./retinanet_thin.py', './_base_/distil.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    init_student=True,
    stages=[
        _base_.dpk.fgd[0],
        *(dict(stage, prior=dict(type='dpk_mm.FixedPrior', ratio=0.0)) for stage in _base_.dpk.stages),
    ],
)
