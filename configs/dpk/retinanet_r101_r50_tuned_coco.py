# Ours, not the paper's: what led a search on blood cells in five epochs (docs/results/bccd.md): lean necks
# without a prior, and PKD's loss at all levels. Not yet run on COCO.
_base_ = './retinanet_r101_r50_lean_coco.py'

pkd = dict(loss=dict(_delete_=True, type='dpk_mm.PKDLoss', loss_weight=3.0))
no_prior = dict(prior=dict(_delete_=True, type='dpk_mm.FixedPrior', ratio=0.0))
model = dict(stages=dict(p3=pkd, **{level: dict(pkd, **no_prior) for level in ('p4', 'p5', 'p6', 'p7')}))
