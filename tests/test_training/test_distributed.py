"""Two processes on the CPU: the same weights, one ratio, no unused parameters."""

import json
import os
import subprocess
import sys
from pathlib import Path

import tiny
import torch

REPO = Path(__file__).parents[2]


def test_two_ranks_hold_equal_weights_and_one_ratio(tmp_path):
    data = tiny.write_coco(tmp_path / 'coco')
    cfg = tiny.training_cfg(tiny.distiller(), data, tmp_path / 'run', epochs=1)
    cfg.train_dataloader.batch_size = 1
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.env_cfg = dict(dist_cfg=dict(backend='gloo'), cudnn_benchmark=False, mp_cfg=dict())
    # ranks that differ would be found out here
    cfg.randomness = dict(seed=3, diff_rank_seed=True)
    cfg.custom_imports = dict(imports=['rank_probe'], allow_failed_imports=False)
    cfg.custom_hooks = [dict(type='RankProbe', folder=str(tmp_path))]
    (tmp_path / 'rank_probe.py').write_text(PROBE)
    cfg.dump(tmp_path / 'config.py')
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(tmp_path), str(REPO)]), PYTHON=sys.executable)
    env.update(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    command = ['bash', str(REPO / 'tools/dist_train.sh'), str(tmp_path / 'config.py'), '2']
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    ranks = [torch.load(tmp_path / f'rank{i}.pth') for i in range(2)]
    assert ranks[0]['wrapper'] == 'MMDistributedDataParallel' and not ranks[0]['find_unused']
    assert list(ranks[0]['state']) == list(ranks[1]['state'])
    trained = [k for k in ranks[0]['state'] if not k.endswith(('running_mean', 'running_var'))]
    assert [k for k in trained if not torch.equal(ranks[0]['state'][k], ranks[1]['state'][k])] == []
    logs = [json.loads((tmp_path / f'rank{i}.json').read_text()) for i in range(2)]
    assert [e['ratio_neck_2'] for e in logs[0]] == [e['ratio_neck_2'] for e in logs[1]]
    assert len(logs[0]) == 4 and len({e['ratio_neck_2'] for e in logs[0]}) > 1
    # the ranks saw different images and drew different masks
    assert logs[0][0]['loss_dpk_neck_2'] != logs[1][0]['loss_dpk_neck_2']


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

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.log.append({k: float(v) for k, v in outputs.items()})

    def after_train(self, runner):
        name = f'{self.folder}/rank{get_rank()}'
        model = runner.model
        torch.save(
            dict(
                state=dict(model.module.state_dict()),
                wrapper=type(model).__name__,
                find_unused=model.find_unused_parameters,
            ),
            f'{name}.pth',
        )
        with open(f'{name}.json', 'w') as file:
            json.dump(self.log, file)
"""
