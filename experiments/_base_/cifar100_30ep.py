# A ResNet-20 that was trained for 60 epochs teaches a ResNet-8 for thirty. These are all rows; inputs choose of them.
base = 'experiments/cifar100_short/configs/resnet8.py'
teacher = dict(
    config='experiments/cifar100_30ep/configs/resnet20.py',
    checkpoint='experiments/cifar100_30ep/configs/resnet20.pth',
)
budget = dict(max_epochs=30)
options = {
    'custom_imports': dict(
        imports=['experiments.cifar100_30ep.test_each_epoch', 'experiments.cifar100_30ep.bfloat16']
    ),
    'custom_hooks': [dict(type='dpk_mm.ChannelsLastHook'), dict(type='TestEachEpochHook')],
    'default_hooks.logger.interval': 100,
    'optim_wrapper.type': 'BFloat16OptimWrapper',
}
# Chosen on held-out images (experiments/cifar100_30ep_tuning). The stage below the last weighs 0.6 of it, as in the
# authors' code.
_weight = 30.0
_stages = dict(layer3=1.0, layer2=0.6)
_kd = dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=1.0)
_none = dict(type='dpk_mm.FixedPrior', ratio=0.0)
_half = dict(type='dpk_mm.FixedPrior', ratio=0.5)
_cka = dict(type='dpk_mm.CKAPrior', samples='images', floor=0.15, cap=0.95, fallback=0.9)
_lean = dict(type='dpk_mm.FeatureMixingNeck', preset='lean', residual=True)
# in the sizes of cifar100_short
_vit = dict(embed_dims=48, num_layers=2, num_heads=4)
_paper = dict(type='dpk_mm.FeatureMixingNeck', encoder=_vit, decoder=_vit)


def _row(logits, maps=None, **others) -> dict:
    """A distiller with a loss on the logits, and the stages on maps."""
    stages = dict(maps or {}, logits=dict(at='head.fc', loss=logits))
    return dict(model=dict(input_shape=(32, 32), stages=stages, **others))


def _fitnet(weight=None) -> dict:
    """The loss on the maps; its weights find themselves where none is given."""
    return {
        stage: dict(
            at=f'backbone.{stage}',
            loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=weight * part if weight else 'auto'),
        )
        for stage, part in _stages.items()
    }


def _dpk(prior, neck=_lean, weight=_weight, logits=_kd) -> dict:
    """The same through necks, which an AdamW of their own trains."""
    maps = _fitnet(weight)
    for stage, patch in zip(maps.values(), (1, 2)):
        stage.update(neck=dict(neck, patch_size=patch), prior=prior)
    return _row(logits, maps, optimizer=dict(lr=1e-3))


_dist = dict(type='dpk_mm.DISTLoss', beta=1.0, gamma=1.0, temperature=4.0, loss_weight=2.0)
methods = {
    'dpk, ratio 0': _dpk(_none),
    'dpk, cka': _dpk(_cka),
    'kd + fitnet': _row(_kd, _fitnet(_weight)),
    'dist': _row(_dist),
    'alone': None,
    'kd': _row(_kd),
    # the best weight of experiments/cifar100_cures
    'dist + dpk, ratio 0': _dpk(_none, logits=_dist),
    # the weights of the paper
    'kd + lskd': _row(
        dict(type='dpk_mm.LogitsKLLoss', temperature=2.0, loss_weight=9.0, standardize=True),
        task_loss_weight=0.1,
    ),
    'dpk, fixed ratio 0.5': _dpk(_half),
    "dpk, ratio 0, paper's kind of neck": _dpk(_none, _paper),
    "dpk, cka, paper's kind of neck": _dpk(_cka, _paper),
    'kd + fitnet, auto': _row(_kd, _fitnet()),
    'dpk, cka, auto': _dpk(_cka, weight=None),
}
reference = 'kd'
seeds = [0]
