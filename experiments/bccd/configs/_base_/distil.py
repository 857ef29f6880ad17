# What the distilling rows share: teacher, loss, and the layers and necks of DPK, which are those of
# configs/dpk/retinanet_r101_r50_coco.py made small. The thin student has its teacher's neck and inherits it
# (init_student); that of 64 channels inherits nothing. The rows copy it: change `model` there, not `dpk`.
# loss_weight was a compromise on the held-out images, for another student (experiments/bccd/notes.md): at 1 the loss
# starts at some 380 times the detector's own.
fgd = dict(
    type='dpk_mm.FGDLoss',
    alpha_fg=2e-3,
    beta_bg=2e-4,
    gamma_mask=3e-4,
    lambda_rela=5e-6,
    temp=0.5,
    loss_weight=0.03,
)
vit = dict(embed_dims=64, num_layers=2, num_heads=4)
p4 = dict(type='dpk_mm.FeatureMixingNeck', patch_size=2, encoder=vit, decoder=vit)
p5_p6 = dict(type='dpk_mm.FeatureMixingNeck', patch_size=1, encoder=vit, decoder=vit)
dpk = dict(
    distiller=dict(
        type='dpk_mm.DPKDistiller',
        method=None,
        teacher='{{ fileDirname }}/../retinanet_fpn128.py:work_dirs/retinanet_fpn128/epoch_16.pth',
    ),
    p3=dict(at='neck[0]', loss=fgd),
    above=dict(
        p4=dict(at='neck[1]', neck=p4, loss=fgd),
        p5=dict(at='neck[2]', neck=p5_p6, loss=fgd),
        p6=dict(at='neck[3]', neck=p5_p6, loss=fgd),
    ),
    cka=dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.15, cap=0.85, fallback=0.5),
)
