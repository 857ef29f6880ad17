# The losses of since 2023 in cifar100_short's pair and schedule, with the weights of their papers; WKD-F's finds
# itself, as it was not at hand. "alone", "kd", "dist", "kd + fitnet" and "dkd" are the rows of cifar100_short:
#   python tools/compare.py experiments/cifar100_logits/compare.py --out experiments/cifar100_logits --jobs 2
_base_ = '../cifar100_short/compare.py'


def _logits(type: str, task_loss_weight: float = 1.0, **loss) -> dict:
    stage = dict(at='head.fc', loss=dict(type=f'dpk_mm.{type}', **loss))
    return dict(
        model=dict(input_shape=(32, 32), task_loss_weight=task_loss_weight, stages=dict(logits=stage))
    )


methods = dict(
    {
        'alone': None,
        **{name: _base_.methods[name] for name in ('kd', 'dist', 'kd + fitnet')},
        'kd + lskd': _logits(
            'LogitsKLLoss', task_loss_weight=0.1, temperature=2.0, loss_weight=9.0, standardize=True
        ),
        'dkd': _base_.methods['dkd'],
        # The temperature and the weight are those of LSKD's KD.
        'dkd + lskd': _logits(
            'DKDLoss',
            alpha=1.0,
            beta=8.0,
            temperature=2.0,
            warmup_epochs=0,
            loss_weight=9.0,
            standardize=True,
        ),
        'nkd': _logits('NKDLoss', gamma=1.5, temperature=1.0),
        'wttm': _logits('WTTMLoss', gamma=0.2, loss_weight=4.0),
        'rld': _logits('RLDLoss', alpha=1.0, beta=8.0, temperature=4.0),
        'wkd-f': dict(
            model=dict(
                input_shape=(32, 32),
                stages=dict(
                    layer3=dict(at='backbone.layer3', loss=dict(type='dpk_mm.WKDFLoss', loss_weight='auto'))
                ),
            )
        ),
    },
    _delete_=True,
)
