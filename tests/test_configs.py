"""The shipped configs: each builds, and takes a step at a fraction of its widths."""

from pathlib import Path

import pytest
import tiny
import torch
from mmengine.config import Config

from dpk_mm.utils import load_model_cfg

ROOT = Path(__file__).parents[1] / 'configs'
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('dpk/*.py'))


def shrink_detector(model):
    """Divide the widths of a ResNet detector by 16."""
    expansion = 1 if model.backbone.depth in (18, 34) else 4
    model.backbone.update(base_channels=4, init_cfg=None, frozen_stages=-1)
    model.neck.update(in_channels=[4 * expansion * 2**i for i in range(4)], out_channels=16)
    model.bbox_head.update(in_channels=16, feat_channels=16, stacked_convs=1)
    return model


def shrink(cfg):
    """A config of ``configs/dpk`` with tiny models and a random teacher."""
    model = cfg.model
    model.student = shrink_detector(model.student)
    config = shrink_detector(load_model_cfg(model.teacher.config))
    model.teacher = dict(config=config, allow_incomplete=True)
    for stage in model.stages:
        if 'neck' in stage:
            for part in (stage.neck.encoder, stage.neck.decoder):
                part.update(embed_dims=part.embed_dims // 16, num_layers=1, num_heads=2)
    return cfg


@pytest.mark.parametrize('name', CONFIGS)
def test_config_builds_and_takes_a_step(name):
    cfg = shrink(Config.fromfile(ROOT / name))
    model = tiny.build(cfg.model)
    model.init_weights()
    model.train()
    losses = model(**tiny.batch(model, size=(128, 96)), mode='loss')
    names = {key for key in losses if key.startswith('loss_dpk_')}
    assert len(names) == len(cfg.model.stages)
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []


@pytest.mark.parametrize('name', CONFIGS)
def test_config_runs_from_a_copied_folder(name, tmp_path):
    """The folder configs/dpk is complete: what a config inherits lies in it or in an installed package."""
    import shutil

    shutil.copytree(ROOT / 'dpk', tmp_path / 'dpk')
    cfg = Config.fromfile(tmp_path / name)
    assert cfg.model.type == 'dpk_mm.DPKDistiller'
    assert cfg.model.student.type and cfg.train_dataloader and cfg.default_scope


def test_retinanet_config_holds_the_authors_numbers():
    cfg = Config.fromfile(ROOT / 'dpk/retinanet_r101_r50_coco.py')
    assert cfg.train_cfg.max_epochs == 24 and cfg.optim_wrapper.clip_grad.max_norm == 35
    assert cfg.optim_wrapper.optimizer.lr == 0.01 and cfg.train_dataloader.batch_size == 2
    assert cfg.model.init_student and cfg.model.teacher.checkpoint == 'hub'
    by_layer = {stage['at']: stage for stage in cfg.model.stages}
    sizes = {'neck[1]': (4, 512, 1024), 'neck[2]': (2, 256, 512)}
    sizes |= {'neck[3]': (1, 256, 256), 'neck[4]': (1, 256, 256)}
    assert set(by_layer) == {'neck[0]', *sizes}
    assert 'neck' not in by_layer['neck[0]'] and 'prior' not in by_layer['neck[0]']
    for at, (patch, encoder, decoder) in sizes.items():
        neck = by_layer[at]['neck']
        assert neck.patch_size == patch
        assert neck.encoder == dict(embed_dims=encoder, num_layers=4, num_heads=8)
        assert neck.decoder == dict(embed_dims=decoder, num_layers=4, num_heads=8)
    for stage in cfg.model.stages:
        weights = [stage['loss'][k] for k in ('alpha_fg', 'beta_bg', 'gamma_mask', 'lambda_rela', 'temp')]
        assert weights == [2e-3, 2e-4, 3e-4, 5e-6, 0.5]
