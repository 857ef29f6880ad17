"""PlainCheckpointHook, and resuming from checkpoints that mmengine's own hook wrote."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from dpk_mm.engine.hooks.plain_checkpoint_hook import PlainCheckpointHook
from dpk_mm.utils.plain import plain


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tiny.write_coco(tmp_path_factory.mktemp('coco'), num=4)


@HOOKS.register_module(force=True)
class RemoveHook(Hook):
    """Removes a file in training."""

    def __init__(self, path):
        self.path = Path(path)

    def before_train_iter(self, *args, **kwargs):
        self.path.unlink(missing_ok=True)


def opens_without_dpk_mm(path):
    code = f'import torch; torch.load({str(path)!r}, weights_only=True)'
    return subprocess.run([sys.executable, '-c', code], capture_output=True).returncode == 0


KINDS = {'dpk_mm.PlainCheckpointHook': True, 'CheckpointHook': False}


@pytest.mark.parametrize('kind', tiny.slow_but(KINDS, 'dpk_mm.PlainCheckpointHook'))
def test_saved_history_is_resumed(data, tmp_path, kind):
    cfg = tiny.training_cfg(tiny.retinanet(), data, tmp_path, epochs=1)
    cfg.default_hooks.checkpoint.type = kind
    first = tiny.train(cfg)
    assert opens_without_dpk_mm(tmp_path / 'epoch_1.pth') == KINDS[kind]
    cfg.resume, cfg.train_cfg.max_epochs = True, 2
    second = tiny.train(cfg)
    assert second.iter == 2 * first.iter
    a, b = (runner.message_hub.log_scalars['train/loss'].data[0] for runner in (first, second))
    assert (b[: len(a)] == a).all() and len(b) == 2 * len(a)


def test_all_but_weights_and_optimizer_are_madeplain():
    """Schedulers that watch a metric keep it as numpy gives it."""
    weights = dict(w=torch.ones(1))
    checkpoint = dict(param_schedulers=[dict(best=np.float64(0.5))], state_dict=weights, optimizer=weights)
    PlainCheckpointHook().before_save_checkpoint(SimpleNamespace(cfg=Config()), checkpoint)
    assert type(checkpoint['param_schedulers'][0]['best']) is float
    assert checkpoint['state_dict'] is checkpoint['optimizer'] is weights


def test_a_schedule_that_holds_a_function_is_resumed(data, tmp_path):
    cfg = tiny.training_cfg(tiny.retinanet(), data, tmp_path, epochs=2)
    cfg.default_hooks.checkpoint.type = 'dpk_mm.PlainCheckpointHook'
    cfg.param_scheduler = [dict(type='OneCycleLR', eta_max=0.01, total_steps=8, by_epoch=False)]
    whole = tiny.train(cfg)
    assert opens_without_dpk_mm(tmp_path / 'epoch_1.pth')
    cfg.load_from, cfg.resume = str(tmp_path / 'epoch_1.pth'), True
    resumed = tiny.train(cfg)
    assert resumed.iter == whole.iter
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()


def test_what_is_not_plain_is_told_once(monkeypatch):
    said = []
    monkeypatch.setattr(
        'dpk_mm.engine.hooks.plain_checkpoint_hook.print_log', lambda *args: said.append(args[0])
    )
    hook = PlainCheckpointHook()
    for _ in range(2):
        hook.before_save_checkpoint(
            SimpleNamespace(cfg=Config()), dict(meta=dict(path=Path('a')), state_dict={})
        )
    (text,) = said
    assert text.endswith("'meta' has pathlib.PosixPath")


def test_plain_values():
    value = dict(a=np.float32(0.5), b=[np.int64(3), (np.arange(2),)], c='text', d=None)
    found = plain(value)
    assert found['a'] == 0.5 and type(found['a']) is float
    assert found['b'][0] == 3 and type(found['b'][0]) is int
    assert torch.equal(found['b'][1][0], torch.arange(2))
    assert found['c'] == 'text' and found['d'] is None


def test_inferencers_open_a_distillers_checkpoint_without_a_config(data, tmp_path, export_student):
    """The config in the file is the student's own, also in an export."""
    from mmdet.apis import DetInferencer

    cfg = tiny.training_cfg(tiny.distiller(), data, tmp_path, epochs=1)
    cfg.test_dataloader, cfg.test_cfg, cfg.test_evaluator = cfg.val_dataloader, cfg.val_cfg, cfg.val_evaluator
    cfg.visualizer = dict(type='DetLocalVisualizer')
    student = tmp_path / 'student.py'
    Config(dict(model=tiny.retinanet())).dump(student)
    cfg.model.student = str(student)
    cfg.custom_hooks = [dict(type='RemoveHook', path=str(student))]  # whose name the config has
    model = tiny.train(cfg).model.eval()
    export_student.main([str(tmp_path / 'epoch_1.pth'), str(tmp_path / 'student.pth')])
    image = np.random.default_rng(0).integers(0, 255, (96, 80, 3), np.uint8)
    found = []
    for name in ('epoch_1.pth', 'student.pth'):
        saved = torch.load(tmp_path / name, weights_only=True)
        assert Config.fromstring(saved['meta']['cfg'], '.py').model.type == 'RetinaNet'
        inferencer = DetInferencer(weights=str(tmp_path / name), device='cpu', show_progress=False)
        assert type(inferencer.model).__name__ == 'RetinaNet'
        with torch.no_grad():
            found.append(inferencer(image, pred_score_thr=0.0)['predictions'][0])
    assert found[0] == found[1] and found[0]['scores']
    weights = {key: value for key, value in model.state_dict().items() if not key.startswith('distiller.')}
    for key, value in inferencer.model.state_dict().items():
        assert torch.equal(value, weights[key])
