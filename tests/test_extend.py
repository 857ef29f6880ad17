"""The recipes of docs/extend.md work as they stand."""

import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest
import tiny
import tiny_cls
import torch
from mmengine.runner.checkpoint import get_state_dict
from mmengine.utils import import_modules_from_strings

from dpk_mm.compare import inputs, plan
from dpk_mm.registry import METHODS, MODELS
from dpk_mm.utils import cli

ROOT = Path(__file__).resolve().parents[1]
# file that a recipe writes -> its text
RECIPES = dict(
    re.findall(r'```python\n# (\S+)\n(.*?)```', (ROOT / 'docs/extend.md').read_text(encoding='utf-8'), re.S)
)


def write(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RECIPES[name])
    return path


@pytest.mark.parametrize('name', RECIPES)
def test_a_recipe_is_short(name):
    assert len([line for line in RECIPES[name].splitlines() if line]) <= 15


@pytest.fixture
def imported(tmp_path, monkeypatch):
    for name in ('my_loss', 'my_prior'):
        write(tmp_path, f'{name}.py')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield dict(imports=['my_loss', 'my_prior'])
    for module, kind in (('my_loss', 'L1Loss'), ('my_prior', 'StepPrior')):
        sys.modules.pop(module, None)
        MODELS.module_dict.pop(kind, None)


def test_a_loss_and_a_prior_of_ones_own_train(tmp_path, imported):
    stage = dict(
        at='backbone.layer3',
        neck=tiny_cls.NECK,
        prior=dict(type='dpk_mm.StepPrior', cap=0.4),
        loss=dict(type='dpk_mm.L1Loss', loss_weight=2.0),
    )
    model = tiny_cls.distiller(stages=dict(layer3=stage))
    data = tiny_cls.write_cifar(tmp_path / 'cifar')
    cfg = tiny_cls.training_cfg(model, data, tmp_path / 'run', epochs=1, custom_imports=imported)
    import_modules_from_strings(**cfg.custom_imports)  # as Config.fromfile does
    runner = tiny.train(cfg)
    scalars = runner.message_hub.log_scalars
    assert scalars['train/ratio_layer3'].current() == pytest.approx(0.4)
    assert scalars['train/loss_distill_layer3'].current() > 0


def test_a_method_of_ones_own_is_known_by_name(tmp_path, monkeypatch):
    write(tmp_path, 'my_method.py')
    monkeypatch.syspath_prepend(str(tmp_path))
    known = dict(METHODS.module_dict)
    try:
        import_modules_from_strings(['my_method'])
        model = tiny.build(tiny.distiller(method='finest', stages=None))
        assert model.layers == {'p3': ('neck[0]', 'neck[0]')} and model.distiller['p3'].loss.auto is not None
        model = tiny.build(tiny.distiller(method='finest+fgd', stages=None))
        assert {'p3', 'p3_fgd'} <= set(model.layers)
        with pytest.raises(ValueError, match='finest does not fit: it is for detectors'):
            tiny.build(tiny_cls.distiller(method='finest', stages=None))
    finally:
        sys.modules.pop('my_method', None)
        METHODS.module_dict.clear()
        METHODS.module_dict.update(known)


def test_a_loop_of_ones_own_trains_as_the_runner(tmp_path, monkeypatch):
    """Necks, masks and weights that find themselves included."""
    write(tmp_path, 'my_loop.py')
    monkeypatch.syspath_prepend(str(tmp_path))
    data = tiny_cls.write_cifar(tmp_path / 'cifar')
    model = tiny_cls.distiller(method='dpk', stages=None)
    cfg = tiny_cls.training_cfg(model, data, tmp_path / 'run', epochs=2)
    cfg.optim_wrapper, cfg.param_scheduler = dict(optimizer=dict(type='SGD', lr=0.05)), None
    expected = get_state_dict(tiny.train(cfg).model)
    runner = tiny.build_runner(cfg)
    cli.build_parts(runner)
    loader, optimizer = runner.train_loop.dataloader, runner.optim_wrapper.optimizer

    class Epochs:
        """The loader in the runner's order."""

        epoch = 0

        def __len__(self):
            return len(loader)

        def __iter__(self):
            loader.sampler.set_epoch(self.epoch)
            self.epoch += 1
            return iter(loader)

    runner._init_model_weights()
    runner.model.train()
    importlib.import_module('my_loop').train(runner.model, Epochs(), optimizer, 2)
    sys.modules.pop('my_loop')
    found = get_state_dict(runner.model)
    assert not [name for name in expected if not torch.equal(expected[name], found[name])]


def test_a_pair_of_ones_own_builds(tmp_path):
    shutil.copytree(ROOT / 'configs/dpk', tmp_path / 'configs/dpk')
    cfg = cli.load_config(str(write(tmp_path, 'configs/dpk/resnet32x4_resnet20_cifar100.py')))
    cfg.model.teacher.update(checkpoint=None, allow_incomplete=True)
    model = tiny.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    assert set(model.layers) == {'layer3', 'logits'}


def test_a_comparison_of_ones_own_is_fair(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    comparison = inputs.read(cli.load_config(str(write(tmp_path, 'experiments/my_study/compare.py'))))
    _, methods = plan.make_methods(comparison, cli.load_config)
    assert [method.name for method in methods] == ['alone', 'kd', 'fitnet']
