# FGD (Yang et al., CVPR 2022), RetinaNet R101 -> R50: no necks, no prior. The weights are FGD's own for this
# pair, which DPK's authors changed.
_base_ = './_base_/retinanet_r101_r50_coco.py'

fgd = dict(type='dpk_mm.FGDLoss', alpha_fg=1e-3, beta_bg=5e-4, gamma_mask=5e-4, lambda_rela=5e-6, temp=0.5)
model = dict(stages={name: dict(at=at, loss=fgd) for name, at in _base_.levels.items()})
