# DPK: the ratio is 1 - CKA over positions.
_base_ = ['./retinanet_fpn64.py', './_base_/distil.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    stages=[
        _base_.dpk.fgd[0],
        *(dict(stage, prior=_base_.dpk.cka) for stage in _base_.dpk.stages),
    ],
)
