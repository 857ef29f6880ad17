import json
from pathlib import Path

import data
import inference
import pool
import pytest

from dpk_mm.compare import training

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'demo'))
    import demo

    return demo


def test_one_seed_from_end_to_end(demo, tmp_path, monkeypatch, capsys):
    def run_here(jobs, workers):
        monkeypatch.setattr(pool, '_progress', [0] * 2 * len(jobs))
        return [pool._run(index, job) for index, job in enumerate(jobs)]

    monkeypatch.setattr(inference, 'milliseconds', lambda model, items: 1.0)
    # starting workers takes longer than all they do here
    monkeypatch.setattr(pool, 'run_jobs', run_here)
    monkeypatch.setattr(data.make_dataset, '__defaults__', ({'train': 16, 'val': 20},))
    demo.main(['--work-dir', str(tmp_path), '--epochs', '1', '--seeds', '5'])
    shown = capsys.readouterr().out
    rows = json.loads((tmp_path / 'results.json').read_text(encoding='utf-8'))['rows']
    assert list(rows) == ['teacher', *demo.STUDENTS]
    for name in ('table.md', 'ratio.png', 'detections.png'):
        assert (tmp_path / name).stat().st_size > 0 and str(tmp_path / name) in shown
    assert (tmp_path / 'table.md').read_text(encoding='utf-8') in shown


def test_results_go_to_the_model_and_seed_they_belong_to(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, 'run_jobs', lambda jobs, workers: [(job.config, job.seed) for job in jobs])
    rows = demo.train_students(demo.parse_args(['--seeds', '3', '4']), tmp_path)
    assert rows == {name: [(path, 3), (path, 4)] for name, path in demo.STUDENTS.items()}


def test_every_student_is_tested_with_the_plain_config(demo, tmp_path, monkeypatch):
    jobs = []
    monkeypatch.setattr(pool, 'run_jobs', lambda given, workers: jobs.extend(given) or [{}] * len(given))
    demo.train_students(demo.parse_args([]), tmp_path)
    assert {job.plain_config for job in jobs} == {demo.STUDENT}
    assert len({job.work_dir for job in jobs}) == len(demo.STUDENTS)


def test_a_failing_job_ends_the_pool_with_its_error(tmp_path):
    job = pool.Job('x', tmp_path / 'none.py', tmp_path / 'none.py', tmp_path, tmp_path)
    with pytest.raises(FileNotFoundError, match='none.py'):
        pool.run_jobs([job], 1)


def test_status_line(capsys):
    line = pool.StatusLine(['a', 'b', 'c'])
    line.show([1, 9, 0, 0, 0, 0], [False, False, False])
    assert capsys.readouterr().out == ''  # no terminal: once in 15 seconds
    line.last -= 20
    line.show([2, 9, 9, 9, 0, 0], [False, True, False])
    assert capsys.readouterr().out.rstrip().endswith('s, 1 of 3 done | a 2/9')


def test_schedule_can_be_shortened(tmp_path):
    cfg = training.load_config(ROOT / 'demo/configs/retinanet_r18_digits.py', tmp_path, tmp_path, 3, 1)
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[-1].end == 1
    assert cfg.randomness.seed == 3
