# The student with plain FGD at the same layers: what DPK's necks and prior add to it.
_base_ = './retinanet_r34_r18_digits.py'
model = dict(type='dpk_mm.Distiller', stages={level: dict(neck=None, prior=None) for level in ('p4', 'p5')})
