"""The demos as their users run them, by make, with a little data and a few steps."""

import csv
import io
import pickle
import shlex
import shutil
import subprocess
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from dpk_mm.compare import pool, worker
from dpk_mm.utils import read_ratios

TEACHER = 'demo/detection/configs/retinanet_r34_digits'


class InThisProcess:
    """In the place of the process of a worker: it does the job here, which saves the imports of another."""

    returncode = 0

    def __init__(self, *args, **kwargs):
        self.stdin = io.BytesIO()

    def poll(self):
        threads = torch.get_num_threads()
        try:
            worker.run(pickle.loads(self.stdin.getvalue()))
        finally:
            torch.set_num_threads(threads)
        return self.returncode


@pytest.fixture
def run(root, workdir, monkeypatch, capsys, load_tool):
    """Run the commands of ``make TARGET`` in an empty folder, in this process; returns what they print."""

    def run(target, kind, **fields):
        for name in ('tools', 'configs'):
            (workdir / name).symlink_to(root / name)
        shutil.copy(root / 'Makefile', workdir)
        shutil.copytree(root / 'demo', workdir / 'demo', dirs_exist_ok=True)
        with (workdir / f'demo/{kind}/compare.py').open('a') as file:
            file.writelines(f'{name} = {value!r}\n' for name, value in dict(fields, seeds=[0]).items())
        make = ['make', '--no-print-directory', '-n', '-o', 'setup', target, 'VENV_PYTHON=python']
        commands = subprocess.run(make, capture_output=True, text=True, check=True).stdout.splitlines()
        monkeypatch.setattr(pool, 'subprocess', SimpleNamespace(Popen=InThisProcess, PIPE=None, STDOUT=None))
        for command in commands:
            script, *args = shlex.split(command.partition('python ')[2])
            load_tool(workdir / script).main(args)
        return commands, capsys.readouterr().out

    return run


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
def test_detection_from_end_to_end(run, make_data, workdir):
    work_dir = workdir / 'work_dirs/demo'
    for split, number in (('train', 32), ('val', 20)):
        make_data.make_detection(work_dir / 'data', split, number)
    # with any score, as students of two steps are sure of nothing, and then mmdet gives no figures
    options = {'model.test_cfg.score_thr': 0.0}
    commands, said = run('demo', 'detection', budget=dict(max_iters=2), options=options)
    assert not any('make_data' in command for command in commands)  # as the data are there
    found, taught = rows(work_dir / 'results.csv'), rows(work_dir / 'teachers.csv')
    names = ['student alone', 'student, inherited start', 'student with FGD alone', 'student with DPK']
    assert sorted(found) == sorted(names)
    # a distilled student is a plain student again; nobody but the teacher has learnt anything in two steps
    assert {row['params'] for row in found.values()} == {'929412'}
    reached = {name: float(row['coco/bbox_mAP'] or 0) for name, row in found.items()}
    teacher = taught['student with DPK']
    assert float(teacher['coco/bbox_mAP_50']) > 0.6 and teacher['params'] == '1562564'
    assert max(reached.values()) < 0.1 < float(teacher['coco/bbox_mAP'])
    table = (work_dir / 'table.md').read_text(encoding='utf-8')
    assert table in said and f'The teacher itself: {100 * float(teacher["coco/bbox_mAP"]):.2f}' in table
    check_ratios(work_dir / 'runs/student_with_DPK-0', {'p4', 'p5'}, 2, cap=0.85)
    for name in ('ratio.png', 'detections.png'):
        assert f'wrote work_dirs/demo/{name}' in said
        check_picture(work_dir / name)


@pytest.mark.slow
def test_classification_from_end_to_end(run, make_data, workdir):
    pytest.importorskip('mmpretrain')
    work_dir = workdir / 'work_dirs/demo_cls'
    for split, number in (('train', 1600), ('test', 200)):
        make_data.make_classification(work_dir / 'data', split, number, split)
    _, said = run('demo-cls', 'classification', budget=dict(max_iters=20))
    found, taught = rows(work_dir / 'results.csv'), rows(work_dir / 'teachers.csv')
    assert sorted(found) == sorted(['student alone', 'student with logit KD', 'student with DPK'])
    # two passes over 1,600 images have taught the teacher something, 20 steps nobody else
    teacher = taught['student with DPK']
    reached = {name: float(row['accuracy/top1']) for name, row in found.items()}
    assert max(reached.values()) < 30 < float(teacher['accuracy/top1'])
    sizes = {int(row['params']) for row in found.values()}
    assert len(sizes) == 1 and max(sizes) < int(teacher['params']) / 10
    check_ratios(work_dir / 'runs/student_with_DPK-0', {'layer2', 'layer3'}, 20, cap=0.95)
    assert 'wrote work_dirs/demo_cls/ratio.png' in said
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
