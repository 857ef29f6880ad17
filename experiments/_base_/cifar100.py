# The rows of a table of CIFAR-100 as papers print it. The file of a pair says who teaches whom and from which
# config of configs/dpk the rows of DPK start. The weights of the others are those of configs/baselines, where
# their sources stand.
# DPK's authors clip the student's gradients too; here no row does, so that all students train alike.
# `budget = dict(max_epochs=60)` there makes a shorter table: the schedules are scaled, DKD's warm-up is not.
_shape = (32, 32)
_unclipped = {'optim_wrapper.clip_grad': None}
# DPK but for the share of teacher tokens: none, which leaves its necks; always the same; by chance, with the
# bounds of the authors' code.
_priors = {
    'dpk, ratio 0': dict(type='dpk_mm.FixedPrior', ratio=0.0),
    'dpk, fixed ratio 0.15': dict(type='dpk_mm.FixedPrior', ratio=0.15),
    'dpk, fixed ratio 0.5': dict(type='dpk_mm.FixedPrior', ratio=0.5),
    'dpk, fixed ratio 0.85': dict(type='dpk_mm.FixedPrior', ratio=0.85),
    'dpk, random ratio': dict(type='dpk_mm.UniformPrior', floor=0.0, cap=0.95),
}
_last_two = ('layer3', 'layer2')  # DPK's stages in most pairs


def _logits(loss) -> dict:
    return dict(logits=dict(at='head.fc', loss=loss))


_kd = dict(
    model=dict(
        input_shape=_shape,
        stages=_logits(dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=0.9)),
        task_loss_weight=0.1,
    ),
)
methods = {
    'alone': None,
    'kd': _kd,
    'dkd': dict(
        model=dict(
            input_shape=_shape,
            stages=_logits(
                dict(
                    type='dpk_mm.DKDLoss',
                    alpha=1.0,
                    beta=8.0,
                    temperature=4.0,
                    warmup_epochs=20,
                    loss_weight=1.0,
                )
            ),
        ),
    ),
    'dist': dict(
        model=dict(
            input_shape=_shape,
            stages=_logits(
                dict(type='dpk_mm.DISTLoss', beta=1.0, gamma=1.0, temperature=4.0, loss_weight=2.0)
            ),
        ),
    ),
    'fitnet': dict(
        model=dict(
            input_shape=_shape,
            stages=dict(
                layer2=dict(at='backbone.layer2', loss=dict(type='dpk_mm.FeatureMSELoss', loss_weight=100.0))
            ),
        ),
    ),
    **{
        name: dict(
            options={
                **_unclipped,
                **{f'model.stages.{stage}.prior': dict(_delete_=True, **prior) for stage in _last_two},
            }
        )
        for name, prior in _priors.items()
    },
    'dpk, cka': dict(options=_unclipped),
    # all else of DPK, its KD too: what its necks must beat
    'dpk, no necks': dict(
        options={
            **_unclipped,
            **{f'model.stages.{stage}.{part}': None for stage in _last_two for part in ('neck', 'prior')},
        }
    ),
    # by a teacher that was trained to be easy to learn from
    'kd, sftn': _kd,
    'dpk, cka, sftn': dict(options=_unclipped),
}
# Does the prior help? These two rows say it, and have more seeds.
for _name in ('dpk, ratio 0', 'dpk, cka'):
    methods[_name]['seeds'] = [0, 1, 2, 3, 4]
reference = 'kd'
seeds = [0, 1, 2]
