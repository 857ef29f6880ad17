# A ResNet-20 teaches a ResNet-8 on CIFAR-100 for three epochs:
#   python tools/compare.py experiments/cifar100_short/compare.py --out experiments/cifar100_short --jobs 2
base = 'experiments/cifar100_short/configs/resnet8.py'
teacher = dict(
    config='experiments/cifar100_short/configs/resnet20.py',
    checkpoint='experiments/cifar100_short/configs/resnet20.pth',
)
# The same network by the same schedule, trained to be easy to learn from.
_friendly = dict(teacher, checkpoint='experiments/cifar100_short/configs/sftn_resnet20_resnet8.pth')
# The weights that suit three epochs, see docs/results/cifar100_weights.md; the authors' are for 240.
_heavy = {'model.stages.layer3.loss.loss_weight': 100.0, 'model.stages.layer2.loss.loss_weight': 60.0}
_kd = 'experiments/cifar100_short/configs/resnet20_resnet8_kd.py'
_mse = dict(type='dpk_mm.FeatureMSELoss', loss_weight=100.0)
_dpk = dict(config='experiments/cifar100_short/configs/resnet20_resnet8_dpk.py', options=_heavy)


def _both(row: dict, part: str, *values) -> dict:
    """A row of DPK's, with a part of its last stage and of the one below replaced."""
    options = {f'model.stages.{stage}.{part}': value for stage, value in zip(('layer3', 'layer2'), values)}
    return dict(row, options={**row['options'], **options})


def _with_prior(type: str, **settings) -> dict:
    return _both(_dpk, 'prior', *[dict(type=type, _delete_=True, **settings)] * 2)


def _lean(row: dict) -> dict:
    neck = dict(_delete_=True, type='dpk_mm.FeatureMixingNeck', preset='lean')
    return _both(row, 'neck', dict(neck, patch_size=1), dict(neck, patch_size=2))


def _residual(row: dict) -> dict:
    return _both(row, 'neck.residual', True, True)


def _logits(loss: dict) -> dict:
    return dict(logits=dict(at='head.fc', loss=loss))


methods = {
    'alone': None,
    'kd': _kd,
    # Without the authors' warm-up of 20 epochs, which three would not outlast.
    'dkd': dict(
        model=dict(
            input_shape=(32, 32),
            stages=_logits(
                dict(type='dpk_mm.DKDLoss', alpha=1.0, beta=8.0, temperature=4.0, warmup_epochs=0)
            ),
        ),
    ),
    'dist': dict(
        model=dict(
            input_shape=(32, 32),
            stages=_logits(
                dict(type='dpk_mm.DISTLoss', beta=1.0, gamma=1.0, temperature=4.0, loss_weight=2.0)
            ),
        ),
    ),
    'fitnet': dict(
        model=dict(input_shape=(32, 32), stages=dict(layer2=dict(at='backbone.layer2', loss=_mse)))
    ),
    # The weights of configs/kr.
    'kr': dict(
        model=dict(
            input_shape=(32, 32),
            stages={
                f'layer{i}': dict(
                    at=f'backbone.layer{i}.*',
                    loss=dict(type='dpk_mm.KRLoss', temperature=1.0, threshold=0.1, l1_weight=0.1),
                )
                for i in (1, 2, 3)
            },
        )
    ),
    # DPK's rows all have this KD too, so this is what they must beat: the same layers and weights, no necks.
    'kd + fitnet': dict(
        config=_kd,
        model=dict(
            stages=dict(
                layer3=dict(at='backbone.layer3', loss=_mse),
                layer2=dict(at='backbone.layer2', loss=dict(_mse, loss_weight=60.0)),
            )
        ),
    ),
    'dpk, ratio 0': dict(
        config='experiments/cifar100_short/configs/resnet20_resnet8_ratio0.py', options=_heavy
    ),
    'dpk, fixed ratio 0.15': _with_prior('dpk_mm.FixedPrior', ratio=0.15),
    'dpk, fixed ratio 0.5': dict(
        config='experiments/cifar100_short/configs/resnet20_resnet8_fixed.py', options=_heavy
    ),
    'dpk, fixed ratio 0.85': _with_prior('dpk_mm.FixedPrior', ratio=0.85),
    # with the bounds of the authors' code
    'dpk, random ratio': _with_prior('dpk_mm.UniformPrior', floor=0.0, cap=0.95),
    'dpk, cka': _dpk,
    'dpk, ratio 0, lean necks': _lean(_with_prior('dpk_mm.FixedPrior', ratio=0.0)),
    'dpk, cka, lean necks': _lean(_dpk),
    # Found on held-out images after all above were known (experiments/cifar100_tuning).
    'dpk, ratio 0, residual': _residual(_with_prior('dpk_mm.FixedPrior', ratio=0.0)),
    'dpk, fixed ratio 0.5, residual': _residual(_with_prior('dpk_mm.FixedPrior', ratio=0.5)),
    'dpk, cka, residual': _residual(_dpk),
    'dpk, cka, lean necks, residual': _residual(_lean(_dpk)),
    'kd, SFTN teacher': dict(config=_kd, teacher=_friendly),
    'dpk, cka, SFTN teacher': dict(_dpk, teacher=_friendly),
}
# Does the prior help? These two rows say it, and have more seeds.
for _name in ('dpk, ratio 0', 'dpk, cka'):
    methods[_name] = dict(methods[_name], seeds=[0, 1, 2, 3, 4])
reference = 'kd'
seeds = [0, 1, 2]
