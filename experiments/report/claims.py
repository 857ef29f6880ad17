# What the papers claim, and which gains of our runs bear on it: those of the row `of` over the row `over` of
# a study, seed by seed.
_short = dict(study='cifar100_short', on='CIFAR-100', of='dpk, cka')
_residual = dict(study='cifar100_short', on='CIFAR-100, residual necks', of='dpk, cka, residual')
_cells = dict(study='bccd', on='blood cells', of='dpk, cka')
_cells_residual = dict(study='bccd', on='blood cells, residual necks', of='dpk, cka, lean necks, residual')
_cells_pkd = dict(study='bccd', on="blood cells, PKD's loss", of='dpk, cka, lean necks, PKD, 3')

claims = [
    dict(
        claim='DPK beats logit distillation (KD)',
        paper='yes; ImageNet, ResNet-34 to 18: 72.51, +2.76 over the student alone',
        gains=[
            dict(_short, over='kd'),
            dict(_residual, over='kd'),
            dict(
                study='cifar100_weights',
                on="CIFAR-100, the authors' weights",
                of='necks, ratio by CKA: DPK',
                over='logit KD',
            ),
        ],
    ),
    dict(
        claim='DPK beats the same losses without necks (KD and FitNet; FGD; PKD)',
        paper='',
        gains=[
            dict(_short, over='kd + fitnet'),
            dict(_residual, over='kd + fitnet'),
            dict(_cells, over='FGD'),
            dict(_cells_residual, over='FGD'),
            dict(_cells_pkd, over='PKD, 3'),
        ],
    ),
    dict(
        claim='DPK beats the best of the other methods (DIST; PKD)',
        paper='yes',
        gains=[
            dict(_short, over='dist'),
            dict(_residual, over='dist'),
            dict(_cells, over='PKD'),
            dict(_cells_residual, over='PKD'),
            dict(_cells_pkd, on="blood cells, PKD's loss (as above)", over='PKD, 3'),
        ],
    ),
    dict(
        claim='a prior beats none',
        paper='yes; without one a marked drop',
        gains=[
            dict(_short, over='dpk, ratio 0'),
            dict(_residual, over='dpk, ratio 0, residual'),
            dict(_cells, over='dpk, ratio 0'),
            dict(_cells_pkd, over='dpk, ratio 0, lean necks, PKD, 3'),
        ],
    ),
    dict(
        claim='the dynamic ratio beats a fixed one',
        paper='yes; all from 0.15 to 0.95 help, none as much',
        gains=[
            dict(_short, on='CIFAR-100, over 0.15', over='dpk, fixed ratio 0.15'),
            dict(_short, on='CIFAR-100, over 0.5', over='dpk, fixed ratio 0.5'),
            dict(_short, on='CIFAR-100, over 0.85', over='dpk, fixed ratio 0.85'),
            dict(_residual, on='CIFAR-100, residual necks, over 0.5', over='dpk, fixed ratio 0.5, residual'),
            dict(_cells, on='blood cells, over 0.5', over='dpk, fixed ratio'),
        ],
    ),
    dict(
        claim='... and a random one',
        paper='',
        gains=[dict(_short, over='dpk, random ratio')],
    ),
    dict(
        claim='a larger teacher gives a better student (ResNet-32 against 14, one of each)',
        paper='yes',
        gains=[
            dict(study='cifar100_teachers', on='CIFAR-100, DPK', of='dpk, ResNet-32', over='dpk, ResNet-14'),
            dict(study='cifar100_teachers', on='CIFAR-100, KD', of='kd, ResNet-32', over='kd, ResNet-14'),
        ],
    ),
    dict(
        claim="SFTN's teachers teach better (one of each)",
        paper='+1.58 on CIFAR-100, the mean over methods, of one family',
        gains=[
            dict(_short, on='CIFAR-100, KD', of='kd, SFTN teacher', over='kd'),
            dict(_short, on='CIFAR-100, DPK', of='dpk, cka, SFTN teacher', over='dpk, cka'),
        ],
    ),
]
