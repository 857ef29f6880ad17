# The student that starts from the teacher's neck and head, and is otherwise alone: a control.
_base_ = ['./retinanet_thin.py', './_base_/distil.py']

model = dict(
    _delete_=True,
    **_base_.dpk.distiller,
    student=_base_.model,
    init_student=True,
    stages=[dict(at='neck[0]', loss=dict(_base_.fgd, loss_weight=0.0))],
)
