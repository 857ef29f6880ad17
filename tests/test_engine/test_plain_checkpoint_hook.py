"""PlainCheckpointHook, and resuming from checkpoints that mmengine's own hook wrote."""

import subprocess
import sys

import numpy as np
import pytest
import tiny
import torch

from dpk_mm.engine.hooks.plain_checkpoint_hook import PlainCheckpointHook, _plain


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tiny.write_coco(tmp_path_factory.mktemp('coco'), num=4)


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


def test_all_but_weights_and_optimizer_are_made_plain():
    """Schedulers that watch a metric keep it as numpy gives it."""
    weights = dict(w=torch.ones(1))
    checkpoint = dict(param_schedulers=[dict(best=np.float64(0.5))], state_dict=weights, optimizer=weights)
    PlainCheckpointHook().before_save_checkpoint(None, checkpoint)
    assert type(checkpoint['param_schedulers'][0]['best']) is float
    assert checkpoint['state_dict'] is checkpoint['optimizer'] is weights


def test_plain_values():
    value = dict(a=np.float32(0.5), b=[np.int64(3), (np.arange(2),)], c='text', d=None)
    plain = _plain(value)
    assert plain['a'] == 0.5 and type(plain['a']) is float
    assert plain['b'][0] == 3 and type(plain['b'][0]) is int
    assert torch.equal(plain['b'][1][0], torch.arange(2))
    assert plain['c'] == 'text' and plain['d'] is None
