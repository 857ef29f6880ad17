# DPK with half of the tokens the teacher's, from start to end.
_base_ = './resnet20_resnet8_dpk.py'

prior = dict(type='dpk_mm.FixedPrior', ratio=0.5)
model = dict(stages=[dict(_base_.model.stages[0], prior=prior), dict(_base_.model.stages[1], prior=prior)])
