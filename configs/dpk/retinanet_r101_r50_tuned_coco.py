# Ours, not the paper's: what led a search on blood cells in five epochs (docs/results/bccd.md): lean necks
# without a prior, and PKD's loss at all levels. Not yet run on COCO.
_base_ = './retinanet_r101_r50_lean_coco.py'

model = dict(
    stages={
        level: dict(
            loss=dict(_delete_=True, type='dpk_mm.PKDLoss', loss_weight=3.0),
            **({} if level == 'p3' else dict(prior=dict(_delete_=True, type='dpk_mm.FixedPrior', ratio=0.0))),
        )
        for level in ('p3', 'p4', 'p5', 'p6', 'p7')
    },
)
