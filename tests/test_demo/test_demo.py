"""The demos as their users run them, by make, with a little data and a few steps."""

import csv
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from dpk_mm.utils import read_ratios

TEACHER = 'demo/detection/configs/retinanet_r34_digits'


def run(root, folder, target, kind, **fields):
    """Run ``make TARGET`` in a folder of its own, with other fields in its input; returns what it printed."""
    for name in ('tools', 'configs'):
        (folder / name).symlink_to(root / name)
    shutil.copy(root / 'Makefile', folder)
    shutil.copytree(root / 'demo', folder / 'demo', dirs_exist_ok=True)
    with (folder / f'demo/{kind}/compare.py').open('a') as file:
        file.writelines(f'{name} = {value!r}\n' for name, value in dict(fields, seeds=[0]).items())
    paths = os.pathsep.join([str(root), os.environ.get('PYTHONPATH', '')])
    return subprocess.run(
        ['make', '-o', 'setup', target, f'VENV_PYTHON={sys.executable}'],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rows(path):
    """Method -> its columns."""
    with path.open() as file:
        return {row['method']: row for row in csv.DictReader(file)}


def check_picture(path):
    picture = cv2.imread(str(path))
    assert min(picture.shape[:2]) > 300 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def check_ratios(folder, stages, steps, cap):
    curves = read_ratios(folder)
    assert set(curves) == stages
    for curve in curves.values():
        assert [*curve] == list(range(1, steps + 1))
        assert all(0.149 < ratio < cap + 0.001 for ratio in curve.values())


@pytest.mark.slow
def test_detection_from_end_to_end(root, make_data, tmp_path):
    work_dir = tmp_path / 'work_dirs/demo'
    for split, number in (('train', 32), ('val', 20)):
        make_data.make_detection(work_dir / 'data', split, number)
    # with any score, as students of four steps are sure of nothing, and then mmdet gives no figures
    options = {'model.test_cfg.score_thr': 0.0}
    done = run(root, tmp_path, 'demo', 'detection', budget=dict(max_iters=4), options=options)
    assert done.returncode == 0, done.stdout
    assert 'make_data' not in done.stdout  # as the data are there
    found, taught = rows(work_dir / 'results.csv'), rows(work_dir / 'teachers.csv')
    names = ['student alone', 'student, inherited start', 'student with FGD alone', 'student with DPK']
    assert sorted(found) == sorted(names)
    # a distilled student is a plain student again; nobody but the teacher has learnt anything in four steps
    assert {row['params'] for row in found.values()} == {'929412'}
    reached = {name: float(row['coco/bbox_mAP'] or 0) for name, row in found.items()}
    teacher = taught['student with DPK']
    assert float(teacher['coco/bbox_mAP_50']) > 0.6 and teacher['params'] == '1562564'
    assert max(reached.values()) < 0.1 < float(teacher['coco/bbox_mAP'])
    table = (work_dir / 'table.md').read_text(encoding='utf-8')
    said = f'The teacher itself: {100 * float(teacher["coco/bbox_mAP"]):.2f}'
    assert table in done.stdout and said in table
    check_ratios(work_dir / 'runs/student_with_DPK-0', {'p4', 'p5'}, 4, cap=0.85)
    for name in ('ratio.png', 'detections.png'):
        assert f'wrote work_dirs/demo/{name}' in done.stdout
        check_picture(work_dir / name)


@pytest.mark.slow
def test_classification_from_end_to_end(root, make_data, tmp_path):
    pytest.importorskip('mmpretrain')
    work_dir = tmp_path / 'work_dirs/demo_cls'
    for split, number in (('train', 1600), ('test', 200)):
        make_data.make_classification(work_dir / 'data', split, number, split)
    done = run(root, tmp_path, 'demo-cls', 'classification', budget=dict(max_iters=20))
    assert done.returncode == 0, done.stdout
    found, taught = rows(work_dir / 'results.csv'), rows(work_dir / 'teachers.csv')
    assert sorted(found) == sorted(['student alone', 'student with logit KD', 'student with DPK'])
    # two passes over 1,600 images have taught the teacher something, 20 steps nobody else
    teacher = taught['student with DPK']
    reached = {name: float(row['accuracy/top1']) for name, row in found.items()}
    assert max(reached.values()) < 30 < float(teacher['accuracy/top1'])
    sizes = {int(row['params']) for row in found.values()}
    assert len(sizes) == 1 and max(sizes) < int(teacher['params']) / 10
    check_ratios(work_dir / 'runs/student_with_DPK-0', {'layer2', 'layer3'}, 20, cap=0.95)
    assert 'wrote work_dirs/demo_cls/ratio.png' in done.stdout
    check_picture(work_dir / 'ratio.png')


def test_the_kept_teacher_is_small_and_whole(root):
    from dpk_mm.registry import MODELS

    path = root / f'{TEACHER}.pth'
    assert path.stat().st_size < 5e6
    kept = torch.load(path, weights_only=True)
    assert set(kept) == {'meta', 'state_dict'}
    assert kept['meta']['dataset_meta']['classes'] == tuple('0123456789')
    model = MODELS.build(dict(Config.fromfile(root / f'{TEACHER}.py').model, _scope_='mmdet'))
    model.load_state_dict(kept['state_dict'])


def test_no_model_of_the_demos_is_put_into_channels_last_memory(root):
    """There some processors' torch corrupts its memory with as few channels as these models have."""
    for path in root.glob('demo/*/configs/*.py'):
        hooks = Config.fromfile(path).get('custom_hooks') or []
        assert not any('ChannelsLast' in hook['type'] for hook in hooks), path
