"""What the README promises: three lines in an empty folder, and stock tools."""

import os
import subprocess
import sys
from pathlib import Path

import mmdet
import mmpretrain
import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config

THREE_LINES = """
_base_ = 'student.py'
model = dict(_delete_=True, type='dpk_mm.DPKDistiller', student=_base_.model,
             teacher='teacher.py:teacher.pth')
"""


def run(*command, folder):
    env = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='', PYTHONWARNINGS='ignore')
    env['PYTHONPATH'] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize('package', [mmdet, mmpretrain], ids=lambda package: package.__name__)
def test_stock_tools_train_and_test_in_an_empty_folder(package, tmp_path):
    if package is mmdet:
        data, make = tiny.write_coco(tmp_path / 'data'), tiny.training_cfg
        student, teacher = tiny.retinanet(), tiny.retinanet(depth=50)
    else:
        data, make = tiny_cls.write_cifar(tmp_path / 'data'), tiny_cls.training_cfg
        student, teacher = tiny_cls.classifier(), tiny_cls.classifier(depth=14, width=6)
    cfg = make(student, data, tmp_path / 'run', epochs=1)
    cfg.test_dataloader, cfg.test_evaluator, cfg.test_cfg = cfg.val_dataloader, cfg.val_evaluator, cfg.val_cfg
    cfg.optim_wrapper.clip_grad = None  # nothing of it is for the necks
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1)  # upstream's own
    cfg.dump(tmp_path / 'student.py')
    Config(dict(model=teacher, default_scope=cfg.default_scope)).dump(tmp_path / 'teacher.py')
    torch.save(tiny.build(teacher, seed=1).state_dict(), tmp_path / 'teacher.pth')
    (tmp_path / 'my_dpk.py').write_text(THREE_LINES)
    tools = Path(package.__file__).parent / '.mim/tools'
    run(tools / 'train.py', 'my_dpk.py', '--work-dir', 'run', folder=tmp_path)
    state = torch.load(tmp_path / 'run/epoch_1.pth', weights_only=True)['state_dict']
    plain = tiny.build(student)
    assert [key for key in state if not key.startswith('distiller.')] == list(plain.state_dict())
    assert any(key.endswith('auto.weight') for key in state)
    # torch opens it without a word from dpk_mm, and the history comes back
    code = 'import torch; torch.load("run/epoch_1.pth", weights_only=True)'
    run('-c', code, folder=tmp_path)
    more = ('--resume', '--cfg-options', 'train_cfg.max_epochs=2')
    said = run(tools / 'train.py', 'my_dpk.py', '--work-dir', 'run', *more, folder=tmp_path)
    assert 'skip resuming' not in said
    run(tools / 'test.py', 'student.py', 'run/epoch_1.pth', '--work-dir', 'test', folder=tmp_path)
