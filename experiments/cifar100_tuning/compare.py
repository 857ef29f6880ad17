# Why do the necks trail plain FitNet in short schedules? One epoch of cifar100_short, judged on the 5,000
# training images that no run is trained on, by a seed that no table uses. All rows have the same logit KD.
#   python tools/compare.py experiments/cifar100_tuning/compare.py --out experiments/cifar100_tuning --jobs 2
base = 'experiments/cifar100_short/configs/resnet8.py'
teacher = dict(
    config='experiments/cifar100_short/configs/resnet20.py',
    checkpoint='experiments/cifar100_short/configs/resnet20.pth',
)
budget = dict(max_epochs=1)
options = {'test_dataloader.dataset': dict(split='train', indices=list(range(45000, 50000)))}
_kd = 'experiments/cifar100_short/configs/resnet20_resnet8_kd.py'
_stages = ('layer3', 'layer2')
_lean = dict(embed_dims=32, num_layers=2, num_heads=1)
_leaner = dict(embed_dims=32, num_layers=1, num_heads=1)


def _losses(weight) -> list:
    """Of the last stage, and of the one below, which weighs 0.6 of it as in the authors' code."""
    return [dict(type='dpk_mm.FeatureMSELoss', loss_weight=w) for w in (weight, 0.6 * weight)]


def _fitnet(weight) -> dict:
    stages = {stage: dict(at=f'backbone.{stage}', loss=loss) for stage, loss in zip(_stages, _losses(weight))}
    return dict(config=_kd, model=dict(stages=stages))


def _dpk(weight, ratio=None, vit=None, **others) -> dict:
    options = dict(others)
    for stage, loss in zip(_stages, _losses(weight)):
        options[f'model.stages.{stage}.loss'] = loss
        if ratio is not None:
            options[f'model.stages.{stage}.prior'] = dict(
                _delete_=True, type='dpk_mm.FixedPrior', ratio=ratio
            )
        if vit is not None:
            options[f'model.stages.{stage}.neck'] = dict(encoder=vit, decoder=vit)
    return dict(config='experiments/cifar100_short/configs/resnet20_resnet8_dpk.py', options=options)


def _residual(weight, ratio=None) -> dict:
    return _dpk(weight, ratio, **{f'model.stages.{stage}.neck.residual': True for stage in _stages})


def _lean_residual(weight, ratio=None) -> dict:
    neck = dict(_delete_=True, type='dpk_mm.FeatureMixingNeck', preset='lean', residual=True)
    necks = {f'model.stages.{stage}.neck': dict(neck, patch_size=i + 1) for i, stage in enumerate(_stages)}
    return _dpk(weight, ratio, **necks)


_lr = 'optim_wrapper.distiller.optimizer.lr'
methods = {
    'kd': _kd,
    **{f'kd + fitnet, {weight}': _fitnet(weight) for weight in (30, 100, 300, 1000)},
    **{f'ratio 0, {weight}': _dpk(weight, 0.0) for weight in (100, 300, 1000)},
    'ratio 0, 300, lean': _dpk(300, 0.0, _lean),
    'ratio 0, 300, leaner': _dpk(300, 0.0, _leaner),
    # the necks' learning rate is 1e-3 else
    'ratio 0, 300, lr 1e-4': _dpk(300, 0.0, **{_lr: 1e-4}),
    'ratio 0, 300, lr 1e-2': _dpk(300, 0.0, **{_lr: 1e-2}),
    **{f'cka, {weight}': _dpk(weight) for weight in (100, 300, 1000)},
    'cka, 300, lean': _dpk(300, None, _lean),
    'ratio 0, 100, residual': _residual(100, 0.0),
    'fixed 0.5, 100, residual': _residual(100, 0.5),
    'cka, 100, residual': _residual(100),
    'ratio 0, 300, residual': _residual(300, 0.0),
    'cka, 300, residual': _residual(300),
    'ratio 0, 30, residual': _residual(30, 0.0),
    'cka, 30, residual': _residual(30),
    'ratio 0, 100, residual, lean': _lean_residual(100, 0.0),
    'cka, 100, residual, lean': _lean_residual(100),
}
reference = 'kd'
seeds = [100]
