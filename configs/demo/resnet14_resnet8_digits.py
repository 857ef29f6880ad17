# The student with DPK: two feature stages beside the logits.
_base_ = './resnet14_resnet8_kd_digits.py'

vit = dict(embed_dims=32, num_layers=1, num_heads=4)
prior = dict(type='dpk_mm.CKAPrior', floor=0.15, cap=0.95, fallback=0.9)
loss = dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.3)

model = dict(
    stages=[
        dict(
            at='backbone.layer3',
            neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=1, encoder=vit, decoder=vit),
            prior=prior,
            loss=loss,
        ),
        dict(
            at='backbone.layer2',
            neck=dict(type='dpk_mm.FeatureMixingNeck', patch_size=2, encoder=vit, decoder=vit),
            prior=prior,
            loss=loss,
        ),
    ],
)
