"""The demo's own config without distillation is plain mmdet, bit for bit."""

from pathlib import Path

import data
import tiny
import torch
from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / 'demo/configs'


def ten_steps(cfg, root, work_dir):
    cfg.work_dir = str(work_dir)
    cfg.randomness = dict(seed=0)
    cfg.log_level = 'WARNING'
    cfg.train_dataloader.dataset.data_root = str(root)
    cfg.train_cfg.max_epochs = 10 // (32 // 16)
    for part in ('val', 'test'):
        cfg.update({f'{part}_{key}': None for key in ('cfg', 'dataloader', 'evaluator')})
    runner = tiny.train(cfg)
    assert runner.iter == 10
    return runner.model


def test_ten_steps_with_zero_weights_equal_plain_mmdet(tmp_path):
    root = data.make_dataset(tmp_path / 'data', {'train': 32, 'val': 1})
    plain = ten_steps(Config.fromfile(CONFIGS / 'retinanet_r18_digits.py'), root, tmp_path / 'plain')
    cfg = Config.fromfile(CONFIGS / 'retinanet_r34_r18_digits.py')
    cfg.model.init_student = False  # another start is no question of weights
    for stage in cfg.model.stages:
        stage.loss.update(alpha_fg=0, beta_bg=0, gamma_mask=0, lambda_rela=0)
    ours = ten_steps(cfg, root, tmp_path / 'dpk')
    assert list(ours.distiller) == ['neck_0', 'neck_1', 'neck_2']
    for key, value in plain.state_dict().items():
        assert torch.equal(value, ours.student.state_dict()[key]), key
