# FGD on all levels, without necks.
_base_ = ['./retinanet_fpn64.py', './_base_/distil.py']

model = dict(_delete_=True, **_base_.dpk.distiller, student=_base_.model, stages=_base_.dpk.fgd)
