# The student with plain FGD at the same layers: what DPK's necks and prior add to it.
_base_ = './retinanet_r34_r18_digits.py'
model = dict(stages=[dict(at=f'neck[{level}]', loss=_base_.fgd) for level in range(3)])
