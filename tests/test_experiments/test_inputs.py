"""The inputs in experiments/ are ready to run: seconds here, before a GPU spends days on them."""

import copy
import functools
from pathlib import Path

import pytest
from mmengine.config import Config

from dpk_mm.compare import inputs, plan
from dpk_mm.utils import cli

ROOT = Path(__file__).resolve().parents[2]
INPUTS = sorted(path.parent.name for path in ROOT.glob('experiments/*/compare.py'))
# what is searched for, and judged on held-out images
HELD_OUT = [name for name in INPUTS if name.endswith(('_tuning', '_cures'))]
PAIRS = ['resnet32x4_resnet8x4', 'resnet56_resnet20', 'wrn40-2_wrn16-2', 'vgg13_mobilenet-v2']


@pytest.fixture(scope='module')
def planned():
    """Name -> the input and its methods by name; making them checks that the comparison is fair."""
    read = functools.cache(cli.load_config)  # rows share files

    @functools.cache
    def make(name):
        comparison = inputs.read(read(f'experiments/{name}/compare.py'))
        _, methods = plan.make_methods(comparison, lambda path: copy.deepcopy(read(path)))
        return comparison, {method.name: method for method in methods}

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # where the commands are given
        yield make


@pytest.mark.parametrize('name', INPUTS)
def test_an_input_is_a_fair_comparison(planned, name):
    comparison, methods = planned(name)
    if name not in HELD_OUT:
        assert comparison.methods['alone'] is None and methods['alone'].is_alone
    assert comparison.reference in (None, *methods)
    for row, method in methods.items():
        if row != 'alone':
            assert not method.is_alone and Path(method.cfg.model.teacher.config).is_file(), row


@pytest.mark.parametrize('name', HELD_OUT)
def test_what_is_searched_for_is_judged_on_held_out_images(planned, name):
    comparison, methods = planned(name)
    for method in methods.values():
        trained, judged = method.cfg.train_dataloader.dataset, method.test_cfg.test_dataloader.dataset
        indices = range(trained.indices) if isinstance(trained.indices, int) else trained.indices
        assert judged.indices and not set(indices) & set(judged.indices)
        for field in ('split', 'ann_file'):  # of the data sets of classification and detection
            assert judged.get(field) == trained.get(field)
        # a file's boxes would be those of all its images
        assert method.test_cfg.test_evaluator.get('ann_file') is None
        assert not set(method.seeds) & {0, 1, 2, 3, 4}  # those of the tables


@pytest.mark.parametrize('name', INPUTS)
def test_the_commands_of_an_input_give_what_it_needs(planned, name):
    text = (ROOT / f'experiments/{name}/compare.py').read_text()
    assert f'python tools/compare.py experiments/{name}/compare.py ' in text
    teachers = [m.cfg.model.teacher for m in planned(name)[1].values() if not m.is_alone]
    for path in {Path(teacher.checkpoint) for teacher in teachers}:
        if path.parts[0] == 'work_dirs':
            # where tools/train.py leaves the last checkpoint of a config of this name
            (config,) = ROOT.glob(f'**/configs/**/{path.parent.name}.py')
            length = Config.fromfile(config).train_cfg
            assert path.name in (
                f'epoch_{length.get("max_epochs")}.pth',
                f'iter_{length.get("max_iters")}.pth',
            )
            commands = text.replace('${name}', config.stem.removesuffix('_cifar100'))
            assert f'python tools/train.py {config.relative_to(ROOT)}' in commands


def priors(method):
    return [dict(stage.prior) for stage in method.cfg.model.stages.values() if 'prior' in stage]


@pytest.mark.parametrize('pair', PAIRS)
def test_the_rows_of_a_pair_are_what_their_names_say(planned, pair):
    comparison, methods = planned(f'cifar100_{pair}')
    assert comparison.reference == 'kd' and comparison.seeds == [0, 1, 2]
    assert [*methods][:5] == ['alone', 'kd', 'dkd', 'dist', 'fitnet']
    teacher, student = pair.split('_')
    assert comparison.base == f'configs/dpk/cifar100/{student}_cifar100.py'

    cka = methods['dpk, cka']
    assert [name for name, method in methods.items() if len(method.seeds) == 5] == [
        'dpk, ratio 0',
        'dpk, cka',
    ]
    assert cka.cfg.model == cli.load_config(f'configs/dpk/{pair}_cifar100.py').model
    for row in ('kd', 'dpk, cka'):
        plain, sftn = methods[row].cfg.model, methods[f'{row}, sftn']
        assert sftn.allow == ['teacher']
        assert sftn.cfg.model.teacher.checkpoint == f'work_dirs/sftn_{pair}_cifar100/epoch_240.pth'
        assert sftn.cfg.model == dict(plain, teacher=sftn.cfg.model.teacher)
    bare = {
        name: dict(stage, neck=None, prior=None) if 'neck' in stage else stage
        for name, stage in cka.cfg.model.stages.items()
    }
    assert methods['dpk, no necks'].cfg.model == dict(cka.cfg.model, stages=bare)
    assert Config.fromfile(f'configs/sftn/sftn_{pair}_cifar100.py').train_cfg.max_epochs == 240
    for row, prior in {
        'ratio 0': dict(type='dpk_mm.FixedPrior', ratio=0.0),
        'fixed ratio 0.15': dict(type='dpk_mm.FixedPrior', ratio=0.15),
        'fixed ratio 0.5': dict(type='dpk_mm.FixedPrior', ratio=0.5),
        'fixed ratio 0.85': dict(type='dpk_mm.FixedPrior', ratio=0.85),
        'random ratio': dict(type='dpk_mm.UniformPrior', floor=0.0, cap=0.95),
    }.items():
        method = methods[f'dpk, {row}']
        assert priors(method) == [prior, prior]  # nothing of the prior that it replaces
        # and nothing else differs
        cfg = copy.deepcopy(method.cfg)
        for name, stage in cka.cfg.model.stages.items():
            if 'prior' in stage:
                cfg.model.stages[name].prior = stage.prior
        assert cfg.to_dict() == cka.cfg.to_dict()


@pytest.mark.parametrize('row', ['kd', 'dkd', 'dist', 'fitnet'])
def test_a_row_has_the_weights_of_the_baseline(planned, row):
    _, methods = planned('cifar100_resnet32x4_resnet8x4')
    shipped = cli.load_config(f'configs/baselines/{row}_resnet32x4_resnet8x4_cifar100.py').model.to_dict()
    ours = methods[row].cfg.model.to_dict()
    for model in (shipped, ours):
        model['teacher'] = {key: Path(item).resolve() for key, item in model['teacher'].items()}
    assert not ours.pop('init_student')
    assert ours == shipped


def test_the_series_of_teachers_differs_in_the_teacher_only(planned):
    _, methods = planned('cifar100_teachers_full')
    names = [row.removeprefix('kd, ') for row in methods if row.startswith('kd, ')]
    assert len(names) >= 4
    for kind in ('kd', 'dpk'):
        cfgs = []
        for name in names:
            cfg = copy.deepcopy(methods[f'{kind}, {name}'].cfg)
            teacher = cfg.model.pop('teacher')
            assert teacher.config == f'configs/dpk/cifar100/{name}_cifar100.py'
            assert teacher.checkpoint == f'work_dirs/{name}_cifar100/epoch_240.pth'
            cfgs.append(cfg.to_dict())
        assert all(cfg == cfgs[0] for cfg in cfgs)
