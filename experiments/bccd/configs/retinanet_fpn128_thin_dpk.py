# DPK: the ratio is 1 - CKA over positions. From the teacher's neck and head.
_base_ = ['./retinanet_thin.py', './_base_/distil.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    init_student=True,
    stages=dict(
        p3=_base_.dpk.p3,
        **{name: dict(stage, prior=_base_.dpk.cka) for name, stage in _base_.dpk.above.items()},
    ),
)
