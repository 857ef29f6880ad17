# DPK's necks without prior knowledge: they see the student's tokens only.
_base_ = './resnet20_resnet8_dpk.py'

prior = dict(type='dpk_mm.FixedPrior', ratio=0.0)
model = dict(stages=[dict(_base_.model.stages[0], prior=prior), dict(_base_.model.stages[1], prior=prior)])
