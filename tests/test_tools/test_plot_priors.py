"""The comparison of the two forms of the prior."""

import csv

import numpy as np
import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from dpk_mm.analysis import priors, priors_report, stats
from dpk_mm.registry import DATASETS
from dpk_mm.utils import cka_from_hsics, hsics, linear_cka, positions_as_samples, record


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A config of a distiller, a random checkpoint of its student, and the teacher's."""
    folder = tmp_path_factory.mktemp('priors')
    tiny.write_coco(folder / 'data', num=9)
    teacher = tiny.build(tiny.retinanet(depth=50), seed=1)
    torch.save(teacher.state_dict(), folder / 'teacher.pth')
    student = tiny.build(tiny.distiller(), seed=2)
    torch.save(dict(state_dict=student.state_dict()), folder / 'epoch_1.pth')
    model = tiny.distiller(
        teacher=dict(config=tiny.retinanet(depth=50), checkpoint=str(folder / 'teacher.pth'))
    )
    tiny.training_cfg(model, folder / 'data', folder / 'work').dump(folder / 'config.py')
    return folder


def read(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def maps(run):
    """The student's and the teacher's maps of the first eight images, at each tap."""
    cfg = Config.fromfile(run / 'config.py')
    model = tiny.build(cfg.model)
    model.load_state_dict(torch.load(run / 'epoch_1.pth')['state_dict'])
    model.eval()
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, _scope_='mmdet'))
    batch = model.data_preprocessor(pseudo_collate([dataset[i] for i in range(8)]))
    with torch.no_grad(), record(model.student, model.student_taps, stop_early=True) as student:
        model.student(**batch, mode='predict')
    teacher = model.teacher(batch['inputs'], model.teacher_taps, batch['data_samples'])
    return [(student[tap], teacher[tap]) for tap in model.student_taps]


def test_ratios_are_those_of_the_features(plot_priors, run, tmp_path, capsys, figures):
    out = tmp_path / 'new/priors.png'
    flags = ['--out', str(out), '--images', '8', '--image-batch', '4']
    flags += ['--cfg-options', 'train_dataloader.dataset.indices=8']
    plot_priors.main([str(run / 'config.py'), 'untrained', str(run / 'epoch_1.pth'), *flags])
    rows = read(out.with_suffix('.csv'))
    assert [row['checkpoint'] for row in rows] == ['untrained'] * 2 + ['epoch_1'] * 2
    for row, stage, (x, y) in zip(rows[2:], ('neck_0', 'neck_2'), maps(run)):
        assert row['stage'] == stage
        positions = [
            1 - linear_cka(*map(positions_as_samples, pair)).item() for pair in zip(x.split(2), y.split(2))
        ]
        images = sum(hsics(*pair) for pair in zip(x.split(4), y.split(4)))
        assert float(row['positions']) == pytest.approx(np.mean(positions), abs=2e-4)
        assert float(row['positions_sd']) == pytest.approx(np.std(positions, ddof=1), abs=2e-4)
        assert float(row['images']) == pytest.approx(1 - cka_from_hsics(images).item(), abs=2e-4)
    assert rows[0]['images'] != rows[2]['images']
    said = capsys.readouterr().out
    assert 'epoch_1, neck_2: positions 0.' in said and 'rank correlation over 4 (stage, checkpoint): ' in said
    assert out.exists()
    by_positions, by_images, _ = figures[0].axes
    for axes, form in ((by_positions, 'positions'), (by_images, 'images')):
        lines = {line.get_label(): line.get_ydata() for line in axes.lines}
        assert list(lines) == ['neck_0', 'neck_2']
        for stage, drawn in lines.items():
            expected = [float(row[form]) for row in rows if row['stage'] == stage]
            assert drawn == pytest.approx(expected, abs=1e-4)


def test_a_student_like_its_teacher_gets_no_prior_knowledge(plot_priors, run, tmp_path):
    cfg = Config.fromfile(run / 'config.py')
    cfg.model.student = cfg.model.teacher.config
    cfg.dump(tmp_path / 'same.py')
    same, out = [str(tmp_path / 'same.py'), str(run / 'teacher.pth')], ['--out', str(tmp_path / 'same.png')]
    plot_priors.main([*same, *out, '--batch-size', '3'])
    for row in read(tmp_path / 'same.csv'):
        assert (float(row['positions']), float(row['images'])) == pytest.approx((0, 0), abs=1e-3)


def test_a_map_that_is_the_same_for_all_images_is_told(plot_priors, run, tmp_path, capsys):
    model = tiny.build(Config.fromfile(run / 'config.py').model)
    for parameter in model.student.neck.parameters():
        parameter.data.zero_()
    torch.save(model.state_dict(), tmp_path / 'dead.pth')
    paths = [str(run / 'config.py'), str(run / 'epoch_1.pth'), str(tmp_path / 'dead.pth')]
    plot_priors.main([*paths, '--out', str(tmp_path / 'dead.png')])
    said = capsys.readouterr().out
    assert 'dead, neck_2: positions nan ± nan, images nan' in said and 'does not differ between' in said
    assert np.isfinite(float(read(tmp_path / 'dead.csv')[1]['images']))


@pytest.mark.parametrize(
    'images, batch, expected', [(9, 4, [5, 4]), (9, 32, [9]), (6, 5, [6]), (64, 4, [5, 4])]
)
def test_no_batch_has_too_few_images(run, images, batch, expected):
    cfg = Config.fromfile(run / 'config.py')
    batches = priors.read_train_batches(cfg, tiny.build(cfg.model), images, batch)
    assert [len(images) for images, _ in batches] == expected


def test_rank_correlation():
    nan = float('nan')
    assert stats.rank_correlation([1, 2, 3], [10, 20, 1000]) == pytest.approx(1)
    assert stats.rank_correlation([1, nan, 2, 3], [3, 0, 2, 1]) == pytest.approx(-1)
    assert stats.rank_correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)
    assert stats.rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486833)
    assert np.isnan(stats.rank_correlation([1, 2], [1, 2]))
    assert np.isnan(stats.rank_correlation([1, 1, 1, nan], [1, 2, 3, 4]))


def test_agreement_is_told_where_it_is_defined():
    nan, rows = float('nan'), [(0.9, 0.5), (0.5, 0.4), (0.1, 0.3), (0.2, 0.2)]
    ratios = {(f'epoch_{i}', f'p{j}'): (x + j, 0.0, y + j) for i, (x, y) in enumerate(rows) for j in range(3)}
    found = priors_report.agreement(ratios)
    assert found['over checkpoints, p0'] == pytest.approx(0.8)
    assert found['over stages, mean of checkpoints'] == pytest.approx(1)
    ratios['epoch_0', 'p0'] = ratios['epoch_1', 'p0'] = (0.9, 0.1, nan)
    found = priors_report.agreement(ratios)
    assert 'over checkpoints, p0' not in found
    assert found['over stages, mean of checkpoints'] == pytest.approx(1)


def test_two_runs_are_told_apart(run):
    model = tiny.build(Config.fromfile(run / 'config.py').model)
    paths = [str(run / 'epoch_1.pth')] * 2
    (run / 'b').mkdir()
    paths[1] = str(run / 'b/epoch_1.pth')
    torch.save(dict(state_dict=model.state_dict()), paths[1])
    assert list(priors.read_students(model, paths)) == [f'{run.name}/epoch_1', 'b/epoch_1']


def test_mistakes_are_one_line(plot_priors, run, tmp_path, capsys):
    config, checkpoint = str(run / 'config.py'), str(run / 'epoch_1.pth')
    with pytest.raises(SystemExit, match="CHECKPOINT='missing.pth': no such file"):
        plot_priors.main([config, 'missing.pth'])
    with pytest.raises(SystemExit, match='is not of this student: .*'):
        plot_priors.main([config, str(run / 'teacher.pth')])
    (tmp_path / 'plain.py').write_text("model = dict(type='RetinaNet')")
    with pytest.raises(SystemExit, match='a distiller is needed, the model is RetinaNet'):
        plot_priors.main([str(tmp_path / 'plain.py'), checkpoint])
    (tmp_path / 'sftn.py').write_text("model = dict(type='dpk_mm.SFTN', student={}, teacher={})")
    with pytest.raises(SystemExit, match='a distiller is needed, the model is SFTN'):
        plot_priors.main([str(tmp_path / 'sftn.py'), checkpoint])
    with pytest.raises(SystemExit, match='no such file'):
        plot_priors.main([config, checkpoint, '--cfg-options', 'model.teacher.checkpoint=missing.pth'])
    with pytest.raises(SystemExit, match='the training set has 3'):
        plot_priors.main([config, checkpoint, '--cfg-options', 'train_dataloader.dataset.indices=3'])
    no_maps = ['model.stages.neck_2=None', 'model.stages.neck_0.loss.loss_weight=0']
    with pytest.raises(SystemExit, match='stages: none of them compares maps'):
        plot_priors.main([config, checkpoint, '--images', '4', '--cfg-options', *no_maps])
    with pytest.raises(SystemExit):
        plot_priors.main([config, checkpoint, '--images', '3'])
    assert '--images and --image-batch must be at least 4' in capsys.readouterr().err
