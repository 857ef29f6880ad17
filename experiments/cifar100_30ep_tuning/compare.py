# Which weight of the maps' loss suits the teacher of cifar100_30ep? Three for each method, three epochs, judged on
# the 5,000 training images that no run is trained on, by a seed that no table uses:
#   export PYTHONPATH=$PWD
#   python tools/compare.py experiments/cifar100_30ep_tuning/compare.py --out experiments/cifar100_30ep_tuning
#   python experiments/cifar100_30ep_tuning/choose.py
_base_ = '../cifar100_30ep/compare.py'
budget = dict(max_epochs=3)
options = {
    'test_dataloader.dataset': dict(split='train', indices=list(range(45000, 50000))),
    'optim_wrapper.type': 'OptimWrapper',  # in float32
}


def _weighs(row, weight) -> dict:
    parts = {'layer3': weight, 'layer2': 0.6 * weight}
    options = {f'model.stages.{stage}.loss.loss_weight': part for stage, part in parts.items()}
    return dict(row, options=options, seeds=[100])


methods = dict(
    {
        'kd': dict(_base_.methods['kd'], seeds=[100]),
        **{
            f'{name}, {weight}': _weighs(_base_.methods[name], weight)
            for name in ('kd + fitnet', 'dpk, ratio 0', 'dpk, cka')
            for weight in (10, 30, 100)
        },
    },
    _delete_=True,
)
seeds = [100]
reference = 'kd'
