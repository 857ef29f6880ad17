# FGD (Yang et al., CVPR 2022), RetinaNet R101 -> R50: no necks, no prior. The weights are FGD's own for this
# pair, which DPK's authors changed.
_base_ = '../dpk/retinanet_r101_r50_coco.py'

model = dict(stages=[dict(at=f'neck[{i}]', loss=_base_.dpk.fgd_anchor_based) for i in range(5)])
