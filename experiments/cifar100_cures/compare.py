# Why does a prior cost accuracy, and with which loss on the logits does DPK pay? Three cures, one at a time, and DPK
# beside DIST and standardised KD. Pair and schedule are those of cifar100_short; all is judged on the 5,000 training
# images that no run is trained on, by seeds that no table uses:
#   export PYTHONPATH=$PWD
#   python tools/compare.py experiments/cifar100_cures/compare.py --out experiments/cifar100_cures
base = 'experiments/cifar100_short/configs/resnet8.py'
teacher = dict(
    config='experiments/cifar100_short/configs/resnet20.py',
    checkpoint='experiments/cifar100_short/configs/resnet20.pth',
)
options = {
    'custom_imports': dict(imports=['experiments.cifar100_cures.cures']),
    'test_dataloader.dataset': dict(split='train', indices=list(range(45000, 50000))),
}
_none = dict(type='dpk_mm.FixedPrior', ratio=0.0)
_cka = dict(type='dpk_mm.CKAPrior', samples='images', floor=0.15, cap=0.95, fallback=0.9)
_kd = dict(loss=dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=1.0))
_dist = dict(loss=dict(type='dpk_mm.DISTLoss', beta=1.0, gamma=1.0, temperature=4.0, loss_weight=2.0))
# the weights of its paper
_lskd = dict(loss=dict(type='dpk_mm.LogitsKLLoss', temperature=2.0, loss_weight=9.0, standardize=True))


def _row(logits, weight=None, prior=None, neck='FeatureMixingNeck', loss='FeatureMSELoss', **others) -> dict:
    """A loss on the logits; on the last two maps, where they have a weight; through necks, where there is a prior."""
    stages = dict(logits=dict(logits, at='head.fc'))
    for i, (stage, part) in enumerate(dict(layer3=1.0, layer2=0.6).items()):
        if weight is not None:
            stages[stage] = dict(
                at=f'backbone.{stage}', loss=dict(type=f'dpk_mm.{loss}', loss_weight=weight * part)
            )
        if prior is not None:
            neck_cfg = dict(type=f'dpk_mm.{neck}', preset='lean', residual=True, patch_size=i + 1)
            stages[stage].update(neck=neck_cfg, prior=prior)
            others['optimizer'] = dict(lr=1e-3)
    return dict(model=dict(input_shape=(32, 32), stages=stages, **others))


_seeds = dict(seeds=[100, 101, 102])
_soft = dict(task_loss_weight=0.1)
methods = {
    'kd, dpk, ratio 0': dict(_row(_kd, 100.0, _none), **_seeds),
    'kd, dpk, cka': dict(_row(_kd, 100.0, _cka), **_seeds),
    'kd, dpk, cka, over 1 - ratio': dict(
        _row(_kd, 100.0, _cka, type='dpk_mm.RatioWeightedDistiller'), **_seeds
    ),
    "kd, dpk, cka, student's tokens": dict(_row(_kd, 100.0, _cka, neck='StudentTokensNeck'), **_seeds),
    'kd, dpk, cka, two passes': dict(
        _row(_kd, 100.0, _cka, neck='TwoPassNeck', loss='TwoPassMSELoss'), **_seeds
    ),
    'dist': _row(_dist),
    **{f'dist, dpk, ratio 0, {weight:g}': _row(_dist, weight, _none) for weight in (30.0, 10.0)},
    **{f'dist, dpk, cka, {weight:g}': _row(_dist, weight, _cka) for weight in (30.0, 10.0)},
    **{f'dist, fitnet, {weight:g}': _row(_dist, weight) for weight in (30.0, 10.0)},
    'lskd': _row(_lskd, **_soft),
    'lskd, dpk, ratio 0, 30': _row(_lskd, 30.0, _none, **_soft),
    'lskd, dpk, cka, 30': _row(_lskd, 30.0, _cka, **_soft),
    'lskd, fitnet, 30': _row(_lskd, 30.0, **_soft),
    'kd': _row(_kd),
    'kd, fitnet': _row(_kd, 100.0),
    'alone': None,
}
reference = 'kd, dpk, ratio 0'
seeds = [100]
