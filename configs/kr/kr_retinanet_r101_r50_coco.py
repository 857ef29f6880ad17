# KR (knowledge representing; Liu et al., CVPR Workshops 2019), RetinaNet R101 -> R50: our reading of it, on a
# detector. A group is all blocks of a stage of the backbone; the student's first stage is frozen and has
# nothing to learn. Start and clipping are those of configs/dpk; the numbers are our choice, not tuned.
_base_ = '../dpk/retinanet_r101_r50_coco.py'

kr = dict(type='dpk_mm.KRLoss', temperature=1.0, threshold=0.1, l1_weight=0.1, loss_weight=1.0)
model = dict(
    type='dpk_mm.Distiller',
    stages=dict(_delete_=True, **{f'layer{i}': dict(at=f'backbone.layer{i}.*', loss=kr) for i in (2, 3, 4)}),
)
