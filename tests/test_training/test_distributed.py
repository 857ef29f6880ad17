"""Two processes on the CPU: the same weights, one ratio, no unused parameters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import tiny_cls
import torch

REPO = Path(__file__).parents[2]


def train_on_two_ranks(cfg, folder):
    """Train through dist_train.sh; what RankProbe saved and logged on each rank."""
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.env_cfg = dict(dist_cfg=dict(backend='gloo'), cudnn_benchmark=False, mp_cfg=dict())
    # ranks that differ would be found out here
    cfg.randomness = dict(seed=3, diff_rank_seed=True)
    cfg.custom_imports = dict(imports=['rank_probe'], allow_failed_imports=False)
    cfg.custom_hooks = [dict(type='RankProbe', folder=str(folder))]
    (folder / 'rank_probe.py').write_text(PROBE)
    cfg.dump(folder / 'config.py')
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(folder), str(REPO)]), PYTHON=sys.executable)
    env.update(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    command = ['bash', str(REPO / 'tools/dist_train.sh'), str(folder / 'config.py'), '2']
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    ranks = [torch.load(folder / f'rank{i}.pth') for i in range(2)]
    return ranks, [json.loads((folder / f'rank{i}.json').read_text()) for i in range(2)]


def assert_ranks_agree(ranks, logs, stage):
    """One set of weights, one ratio; other images and other masks."""
    assert ranks[0]['wrapper'] == 'MMDistributedDataParallel' and not ranks[0]['find_unused']
    assert list(ranks[0]['state']) == list(ranks[1]['state'])
    trained = [k for k in ranks[0]['state'] if not k.endswith(('running_mean', 'running_var'))]
    assert [k for k in trained if not torch.equal(ranks[0]['state'][k], ranks[1]['state'][k])] == []
    ratios = [[entry[f'ratio_{stage}'] for entry in log] for log in logs]
    assert ratios[0] == ratios[1]
    assert len(ratios[0]) == 4 and len(set(ratios[0])) > 1
    assert logs[0][0][f'loss_distill_{stage}'] != logs[1][0][f'loss_distill_{stage}']


@pytest.mark.slow
def test_detector_on_two_ranks(tmp_path):
    data = tiny.write_coco(tmp_path / 'coco')
    cfg = tiny.training_cfg(tiny.distiller(), data, tmp_path / 'run', epochs=1)
    cfg.train_dataloader.batch_size = 1
    ranks, logs = train_on_two_ranks(cfg, tmp_path)
    assert_ranks_agree(ranks, logs, 'neck_2')


@pytest.mark.slow
def test_classifier_with_two_optimizers_on_two_ranks(tmp_path):
    """Accumulated over two steps, as in the authors' ImageNet protocol."""
    data = tiny_cls.write_cifar(tmp_path / 'cifar', num=48)
    cfg = tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path / 'run', epochs=1)
    adamw = dict(type='AdamW', lr=1e-3)
    cfg.optim_wrapper.update(
        constructor='dpk_mm.DistillOptimWrapperConstructor',
        distiller=dict(optimizer=adamw),
        accumulative_counts=2,
    )
    ranks, logs = train_on_two_ranks(cfg, tmp_path)
    assert_ranks_agree(ranks, logs, 'backbone_layer3')
    # both optimizers stepped
    begun, ended = ranks[0]['begun'], ranks[0]['state']
    for part in ('backbone.layer3', 'distiller.backbone_layer3'):
        names = [name for name in begun if name.startswith(part) and name.endswith('weight')]
        assert names and not any(torch.equal(begun[name], ended[name]) for name in names)


@pytest.mark.slow
def test_weights_that_find_themselves_agree_on_two_ranks(tmp_path):
    """And so do the necks, which AdamW trains inside of the student's SGD."""
    data = tiny.write_coco(tmp_path / 'coco')
    model = dict(tiny.distiller(method='dpk', stages=None), input_shape=(96, 96))
    cfg = tiny.training_cfg(model, data, tmp_path / 'run', epochs=1)
    cfg.train_dataloader.batch_size = 1
    ranks, logs = train_on_two_ranks(cfg, tmp_path)
    assert_ranks_agree(ranks, logs, 'p4')
    weights = [[entry['weight_p4'] for entry in log] for log in logs]
    assert weights[0] == weights[1] and weights[0][0] > 0
    assert len(set(weights[0])) > 1  # measured again on the way
    begun, ended = ranks[0]['begun'], ranks[0]['state']
    names = [name for name in begun if name.startswith('distiller.p4.neck') and name.endswith('weight')]
    assert names and not any(torch.equal(begun[name], ended[name]) for name in names)


PROBE = """
import json

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RankProbe(Hook):
    def __init__(self, folder):
        self.folder, self.log = folder, []

    def before_train(self, runner):
        self.begun = {k: v.clone() for k, v in runner.model.module.state_dict().items()}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.log.append({k: float(v) for k, v in outputs.items()})

    def after_train(self, runner):
        name = f'{self.folder}/rank{get_rank()}'
        model = runner.model
        torch.save(
            dict(
                begun=self.begun,
                state=dict(model.module.state_dict()),
                wrapper=type(model).__name__,
                find_unused=model.find_unused_parameters,
            ),
            f'{name}.pth',
        )
        with open(f'{name}.json', 'w') as file:
            json.dump(self.log, file)
"""
