import json
from pathlib import Path

import data_cls
import inference
import pool
import pytest

from dpk_mm.compare import training
from dpk_mm.utils import read_ratios

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'demo/configs'


@pytest.fixture
def demo(monkeypatch):
    pytest.importorskip('mmpretrain')
    monkeypatch.syspath_prepend(str(ROOT / 'demo'))
    import demo_cls

    return demo_cls


def test_two_seeds_from_end_to_end(demo, tmp_path, monkeypatch, capsys):
    def run_here(jobs, workers):
        monkeypatch.setattr(pool, '_progress', [0] * 2 * len(jobs))
        return [pool._run(index, job) for index, job in enumerate(jobs)]

    # starting workers takes longer than all they do here
    monkeypatch.setattr(pool, 'run_jobs', run_here)
    monkeypatch.setattr(inference.milliseconds, '__defaults__', (12,))
    monkeypatch.setattr(data_cls.make_dataset, '__defaults__', ({'train': 64, 'test': 20}, 'test'))
    demo.main(['--work-dir', str(tmp_path), '--epochs', '1', '--seeds', '5', '6'])
    shown = capsys.readouterr().out
    rows = json.loads((tmp_path / 'results.json').read_text(encoding='utf-8'))['rows']
    assert list(rows) == ['teacher', 'student alone', *demo.DISTILLED]
    assert [len(results) for results in rows.values()] == [1, 2, 2, 2]
    for results in rows.values():
        for result in results:
            # of 20 images
            assert result['accuracy/top1'] in range(0, 101, 5) and result['ms'] > 0
    # a distilled student is a plain student again
    sizes = {name: results[0]['params'] for name, results in rows.items()}
    assert sizes['student with DPK'] == sizes['student alone'] < sizes['teacher'] / 10
    for name in ('table.md', 'ratio.png'):
        assert (tmp_path / name).stat().st_size > 0 and str(tmp_path / name) in shown
    assert (tmp_path / 'table.md').read_text(encoding='utf-8') in shown

    dpk_dir = Path(rows['student with DPK'][0]['checkpoint']).parent
    ratios = read_ratios(dpk_dir)
    assert set(ratios) == set(demo.STAGES)
    assert all(0.149 < value < 0.951 for curve in ratios.values() for value in curve.values())


def test_the_teacher_of_the_first_seed_teaches_all(demo, tmp_path, monkeypatch):
    jobs = []

    def run(given, workers):
        jobs.extend(given)
        return [dict(checkpoint=f'{job.config.stem}_{job.seed}') for job in given]

    monkeypatch.setattr(pool, 'run_jobs', run)
    rows = demo.train_models(demo.parse_args(['--seeds', '3', '4']), tmp_path)
    assert rows['teacher'] == [dict(checkpoint=f'{demo.TEACHER.stem}_3')]
    assert rows['student alone'] == [dict(checkpoint=f'{demo.STUDENT.stem}_{seed}') for seed in (3, 4)]
    for name, path in demo.DISTILLED.items():
        assert rows[name] == [dict(checkpoint=f'{path.stem}_{seed}') for seed in (3, 4)]
    assert len({job.work_dir for job in jobs}) == len(jobs) == 7
    for job in jobs:
        assert job.plain_config == (demo.TEACHER if job.config == demo.TEACHER else demo.STUDENT)
        distilled = job.config in demo.DISTILLED.values()
        assert job.options == ({'model.teacher.checkpoint': f'{demo.TEACHER.stem}_3'} if distilled else {})


def test_choosing_never_sees_the_digits_of_the_table(demo, tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    def stop(root, tested):
        raise Stop(root.name, tested)

    monkeypatch.setattr(data_cls, 'make_dataset', stop)
    for flags, tested in (([], 'test'), (['--choose'], 'choose')):
        with pytest.raises(Stop) as caught:
            demo.main(['--work-dir', str(tmp_path), *flags])
        assert caught.value.args == (f'data_{tested}', tested)


def test_students_share_recipe_and_data(demo, tmp_path):
    student = training.load_config(demo.STUDENT, tmp_path, tmp_path, 0)
    for path in demo.DISTILLED.values():
        other = training.load_config(path, tmp_path, tmp_path, 0)
        for key in ('train_dataloader', 'train_cfg', 'param_scheduler', 'custom_hooks'):
            assert other[key] == student[key], (path, key)
        # DPK's necks have an optimizer of their own beside the student's
        assert {**other.optim_wrapper, **student.optim_wrapper} == other.optim_wrapper
        assert other.model.student == student.model
    options = {'model.teacher.checkpoint': 'mine.pth'}
    changed = training.load_config(path, tmp_path, tmp_path, 0, options=options)
    assert changed.model.teacher.checkpoint == 'mine.pth'


def test_dpk_adds_its_stages_to_the_logits(demo, tmp_path):
    kd, dpk = (training.load_config(path, tmp_path, tmp_path, 0).model for path in demo.DISTILLED.values())
    assert kd.logits == dpk.logits and kd.stages == []
    assert [stage.at for stage in dpk.stages] == ['backbone.layer3', 'backbone.layer2']
