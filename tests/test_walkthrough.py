"""The commands of the tutorial and of the how-to pages run in their order, on tiny models and images."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import mmdet
import pytest
import shrink
import tiny
import torch
from mmengine.config import Config

from dpk_mm.utils import load_model_cfg

ROOT = Path(__file__).parents[1]
COMMAND = re.compile(r'^    ((?:[A-Z]\w*=\S+ )*python .*?)(?: {2,}#.*)?$|`(python tools/[^`]+)`', re.M)
UPSTREAM = Path(mmdet.__file__).parent / '.mim'
# What stands for a file, a machine or a schedule that a test has not.
STAND_INS = {
    'mmdet::retinanet/retinanet_r50_fpn_2x_coco.py': 'YOUR_CONFIG.py',
    'mmdet::retinanet/retinanet_r101_fpn_2x_coco.py': 'my_r101.py:r101.pth',
    'mmpretrain::dinov2/vit-small-p14_dinov2-pre_headless.py': 'dinov2.py:dinov2.pth',
    "depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')": 'depth=34',  # of the same widths
    'epoch_24': 'epoch_1',
    'experiments/cifar100_short/compare.py': 'compare.py',
    'configs/dpk/retinanet_r101_r50_coco.py': 'my_dpk.py --rounds 1 --input-shape 96 80',
    'CHECKPOINT OUT': 'work_dirs/my_dpk/epoch_1.pth out.pth',
    'train.py ...': 'train.py my_dpk.py',
    'CONFIG --': 'my_dpk.py --input-shape 96 80 --rounds 1 --',
    '800 1344 --rounds 10': '96 80 --rounds 1',
    'cuda --amp': 'cpu',
    'teacher.compile=True': 'loss_weight=1.0',
    '--short-run 500 --seeds 2': '--short-run 2 --seeds 1',
    'start,pkd,dpk --seeds 3': 'pkd --seeds 1',
    'MMDET/': f'{UPSTREAM}/',
    'DPK_MM/': '',
}
PAGES = ('your_own_detector', 'did_it_help', 'compare', 'foundation_teacher', 'checkpoints', 'profiling')


def read(page):
    text = (ROOT / f'docs/{page}.md').read_text(encoding='utf-8')
    for shown, stand_in in STAND_INS.items():
        text = text.replace(shown, stand_in)
    return text


def run(command):
    """Run a command in this process, where all is imported already."""
    words = shlex.split(command)
    words = words[words.index('python') + 1 :]
    script = ROOT / words[0]  # or upstream's, whose path is absolute
    sys.argv = [str(script), *words[1:]]
    try:
        runpy.run_path(str(script), run_name='__main__')
    except SystemExit as end:
        assert not end.code, command


@pytest.fixture
def place(workdir, monkeypatch):
    """A folder with the configs and weights that the pages start from."""
    for name in ('argv', 'path'):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    data = tiny.write_coco(workdir / 'data', num=4)
    cfg = tiny.training_cfg(tiny.retinanet(), data, 'unused', epochs=1)
    cfg.test_dataloader, cfg.test_evaluator, cfg.test_cfg = (
        cfg.val_dataloader,
        cfg.val_evaluator,
        dict(type='TestLoop'),
    )
    cfg.pop('work_dir')
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1)  # upstream's own
    cfg.dump('YOUR_CONFIG.py')
    page = read('your_own_detector')
    for text in re.findall(r'```python\n(.*?)```', page, re.DOTALL):
        Path(re.match(r'# (\S+)', text)[1]).write_text(text)
    teachers = dict(YOUR_TEACHER='teacher', my_r101='r101', TEACHER1='t1', TEACHER2='t2')
    for config, weights in teachers.items():
        (workdir / f'{config}.py').write_text(Path('my_r101.py').read_text())
        torch.save(tiny.build(load_model_cfg('my_r101.py')).state_dict(), f'{weights}.pth')
    for name in ('STUDENT', 'my_retinanet'):
        (workdir / f'{name}.py').write_text("_base_ = 'YOUR_CONFIG.py'\n")
    foundation = shrink.vit(load_model_cfg(next(name for name in STAND_INS if 'dinov2' in name)))
    Config(dict(model=foundation, default_scope='mmpretrain')).dump('dinov2.py')
    torch.save(tiny.build(foundation).state_dict(), 'dinov2.pth')
    rows = dict(alone=None, pkd=dict(model=dict(method='pkd')))
    Config(dict(base='YOUR_CONFIG.py', teacher='my_r101.py:r101.pth', methods=rows, seeds=[0])).dump(
        'compare.py'
    )
    return workdir


@pytest.mark.slow
@pytest.mark.parametrize('page', PAGES)
def test_the_commands_of_a_page_run(page, place):
    commands = [shown or inline for shown, inline in COMMAND.findall(read(page))]
    assert commands
    if page == 'checkpoints':
        run('python tools/train.py my_dpk.py')
    for command in commands:
        run(command)
