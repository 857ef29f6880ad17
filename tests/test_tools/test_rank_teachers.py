"""The ranking of teachers, on teachers whose order is known because they were made so."""

import copy
import csv
import json
import pickle
import warnings

import cv2
import numpy as np
import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from dpk_mm.analysis import models, samples, stats
from dpk_mm.analysis.ranking import measure as rank_measure
from dpk_mm.analysis.ranking import order as rank_order
from dpk_mm.analysis.ranking import probe as rank_probe
from dpk_mm.analysis.ranking import rows as rank_rows
from dpk_mm.analysis.ranking import study as rank_study
from dpk_mm.registry import DATASETS
from dpk_mm.utils import cka_from_hsics, hsics, record

IMAGES = 96
STAGES = ('backbone.layer2', 'backbone.layer3')


def fit_head(model, images, labels, logit=24.0):
    """Solve for the head that tells the labels apart: a teacher that nobody had to train."""
    model.eval()
    batch = model.data_preprocessor(dict(inputs=list(torch.as_tensor(images))))
    with torch.no_grad(), record(model, ['neck[0]'], stop_early=True) as found:
        model(**batch, mode='predict')
    features = found['neck[0]']
    features = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    target = logit * torch.nn.functional.one_hot(torch.as_tensor(labels), tiny_cls.CLASSES).float()
    solution = torch.linalg.lstsq(features, target).solution
    model.head.fc.weight.data, model.head.fc.bias.data = solution[:-1].T.contiguous(), solution[-1]
    return model.state_dict()


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A student, and teachers that know all classes, some, or none.

    The training labels are drawn by lot, so a student alone learns nothing, and a good teacher helps.
    """
    folder = tmp_path_factory.mktemp('rank')
    tiny_cls.write_cifar(folder / 'cifar', num=IMAGES)
    train, test = (folder / 'cifar/cifar-100-python' / split for split in ('train', 'test'))
    content = pickle.loads(train.read_bytes())
    content['fine_labels'] = np.random.default_rng(0).integers(0, 4, IMAGES).tolist()
    train.write_bytes(pickle.dumps(content))
    content = pickle.loads(test.read_bytes())
    images, labels = content['data'].reshape(-1, 3, 32, 32), np.array(content['fine_labels'])
    student, teacher = tiny_cls.classifier(), tiny_cls.classifier(depth=14, width=6)
    for name, model in dict(student=student, teacher=teacher).items():
        cfg = tiny_cls.training_cfg(model, folder / 'cifar', folder / 'work', batch_size=16)
        cfg.optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.005))
        cfg.dump(folder / f'{name}.py')
    built = tiny.build(teacher)
    torch.save(built.state_dict(), folder / 'random.pth')
    torch.save(fit_head(built, images, labels), folder / 'good.pth')
    torch.save(fit_head(built, images, np.where(labels == 1, 2, labels)), folder / 'middle.pth')
    torch.save(tiny.build(student, seed=3).state_dict(), folder / 'student.pth')
    return folder


def names(run, *teachers):
    return [f'{run}/student.py', *(f'{run}/teacher.py:{run}/{name}.pth' for name in teachers)]


def read(out):
    return list(csv.DictReader((out / 'ranking.csv').read_text().splitlines()))


def forbid(*args, **kwargs):
    raise AssertionError('measured again')


def study_of(rank_teachers, argv, out):
    args = rank_teachers.parse_args([*argv, '--out', str(out)])
    student, *teachers = rank_teachers.parse_all([args.student, *args.teachers])
    progress = rank_teachers.Progress(disable=True)
    return rank_teachers.Study(args, student, progress), teachers


def test_ranks_by_own_metric(rank_teachers, run, tmp_path, capsys):
    rank_teachers.main([*names(run, 'random', 'good', 'middle'), '--out', str(tmp_path)])
    rows = read(tmp_path)
    assert [row['teacher'] for row in rows] == ['teacher good', 'teacher middle', 'teacher random']
    scores = [float(row['accuracy/top1']) for row in rows]
    assert scores[0] >= 70 and scores[0] - 15 > scores[1] > scores[2] + 15
    assert all(float(row['forward / student step']) > 0 for row in rows)
    said = capsys.readouterr().out
    text = (tmp_path / 'ranking.md').read_text()
    assert text in said and rank_order._UNRANKED in text
    assert '- student: no checkpoint, random weights as it starts from (seed 0)' in text
    assert 'teacher good: no checkpoint' not in text
    assert f'| 1 | teacher good | {scores[0]:.2f} |' in text
    shares = np.array(scores[:2]) / 100
    margin = 196 * np.sqrt((shares * (1 - shares)).sum() / IMAGES)
    told = (
        f'teacher good over teacher middle: {scores[0] - scores[1]:+.2f} ± {margin:.2f}: can be told apart.'
    )
    assert told in text
    picture = cv2.imread(str(tmp_path / 'ranking.png'))
    assert picture.shape[1] > 800 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_gap_is_that_of_the_features(rank_teachers, run, tmp_path):
    student = f'{run}/student.py:{run}/student.pth'
    flags = ['--out', str(tmp_path), '--batch-size', '8', '--images', '16', '--stages', *STAGES]
    rank_teachers.main([student, *names(run, 'good')[1:], *flags])
    (row,) = read(tmp_path)
    found = []
    for name, weights in (('student', 'student'), ('teacher', 'good')):
        cfg = Config.fromfile(run / f'{name}.py')
        model = tiny.build(cfg.model).eval()
        model.load_state_dict(torch.load(run / f'{weights}.pth'))
        dataset = DATASETS.build(dict(cfg.val_dataloader.dataset, _scope_='mmpretrain'))
        images = pseudo_collate([dataset[i * IMAGES // 16] for i in range(16)])
        with torch.no_grad(), record(model, STAGES, stop_early=True) as feats:
            model(**model.data_preprocessor(images), mode='predict')
        found.append(feats)
    for stage in STAGES:
        x, y = (feats[stage].split(8) for feats in found)
        expected = 1 - cka_from_hsics(sum(hsics(*pair) for pair in zip(x, y))).item()
        assert float(row[f'1 - CKA {stage}']) == pytest.approx(expected, abs=1e-4)
    student = json.loads((tmp_path / 'candidates/student.json').read_text())
    assert student['params'] == sum(p.numel() for p in tiny.build(tiny_cls.classifier()).parameters())
    assert 'accuracy/top1' in student['metrics']


def test_probe_prefers_the_teacher_that_teaches(rank_teachers, run, tmp_path, monkeypatch):
    flags = ['--out', str(tmp_path), '--probe', '24', '--embed-dims', '16']
    rank_teachers.main([*names(run, 'random', 'good'), *flags])
    good, random = read(tmp_path)
    assert (good['teacher'], random['teacher']) == ('teacher good', 'teacher random')
    assert float(good['gain']) > 10 and float(good['gain']) > float(random['gain']) + 20
    text = (tmp_path / 'ranking.md').read_text()
    assert (
        "Ranked by the student's gain after 24 steps over as many alone (seed 0). All other columns are shown"
        in text
    )
    assert 'teacher good over teacher random' in text and 'one seed says nothing of the spread' in text
    # a second seed is added to the first, and all else is kept
    asked = []
    monkeypatch.setattr(rank_teachers, 'measure_gap', forbid)
    monkeypatch.setattr(
        rank_teachers,
        'run_probe',
        lambda study, label, distiller, seed: asked.append((label, seed)) or {'accuracy/top1': 50.0},
    )
    rank_teachers.main([*names(run, 'random', 'good'), *flags, '--seeds', '0', '1'])
    assert asked == [(label, 1) for label in ('student', 'teacher random', 'teacher good')]
    row = read(tmp_path)[0]
    gains = [float(good['gain']), 0.0]
    assert [float(row[f'gain seed {seed}']) for seed in (0, 1)] == gains
    assert float(row['gain']) == pytest.approx(np.mean(gains))
    assert float(row['gain sd']) == pytest.approx(np.std(gains, ddof=1))


def test_all_probes_are_the_same_training(rank_teachers, run, tmp_path):
    """Where the teacher has no say, the student becomes what it becomes alone."""
    argv = [*names(run, 'good'), '--probe', '4', '--embed-dims', '16', '--seeds', '7']
    study, (named,) = study_of(rank_teachers, argv, tmp_path)
    probe = rank_probe
    teacher = probe.build(named)
    distiller = probe.probe_model(study, named, teacher, study.stages(named, teacher))
    assert [stage['student_at'] for stage in distiller['stages']] == list(STAGES)
    assert [stage['neck']['patch_size'] for stage in distiller['stages']] == [2, 1]
    assert distiller['logits']['at'] == 'head.fc'
    for stage in distiller['stages']:
        stage['loss']['loss_weight'] = 0.0
    distiller['logits'] = None
    probe.keep_start(study, 7)
    start = torch.load(probe.start_file(study, 7))['state_dict']
    ends = []
    for model in (None, distiller):
        runner = probe.make_runner(probe.probe_cfg(study, model, 7), tmp_path / str(len(ends)))
        probe.cli.build_optimizers(runner)
        model = runner.train()
        assert runner.iter == 4
        ends.append(getattr(model, 'student', model).state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in start)
    assert not torch.equal(ends[0]['head.fc.weight'], start['head.fc.weight'])


def test_one_layer_of_the_student_may_be_compared_with_several(rank_teachers, run, tmp_path):
    pairs = [f'backbone.layer3={layer}' for layer in STAGES]
    flags = ['--images', '16', '--stages', *pairs, pairs[0], '--probe', '1', '--embed-dims', '16']
    rank_teachers.main([*names(run, 'good'), *flags, '--out', str(tmp_path)])
    (row,) = read(tmp_path)
    gaps = [float(row[f'1 - CKA {pair}']) for pair in pairs]
    assert len([name for name in row if name.startswith('1 - CKA')]) == 2 and gaps[0] != gaps[1]


def test_teachers_whose_names_make_one_file_are_kept_apart(rank_teachers, run, tmp_path, monkeypatch):
    Config.fromfile(run / 'teacher.py').dump(run / 'teacher_good.py')
    argv = [*names(run, 'good', 'random'), f'{run}/teacher_good.py:{run}/middle.pth', '--images', '16']
    labels = ['teacher good (2)', 'teacher random', 'teacher_good (4)']
    for _ in range(2):  # what the first run kept is that of the right teacher
        rank_teachers.main([*argv, '--out', str(tmp_path)])
        assert sorted(row['teacher'] for row in read(tmp_path)) == labels
        monkeypatch.setattr(rank_teachers, 'measure_gap', forbid)


def test_a_damaged_row_is_named(rank_teachers, run, tmp_path):
    path = tmp_path / 'candidates/student.json'
    path.parent.mkdir()
    for text in ('{"label', '{"other": 1}'):
        path.write_text(text)
        with pytest.raises(SystemExit, match=f'error: {path} is damaged .* remove it') as error:
            rank_teachers.main([*names(run, 'good'), '--images', '16', '--out', str(tmp_path)])
        assert '\n' not in str(error.value)


def test_a_folder_has_one_command_at_a_time(rank_teachers, run, tmp_path):
    with (
        rank_teachers.cli.only_one(tmp_path),
        pytest.raises(SystemExit, match=f'error: {tmp_path} is in use'),
    ):
        rank_teachers.main([*names(run, 'good'), '--images', '16', '--out', str(tmp_path)])
    file = tmp_path / 'lock'
    with pytest.raises(SystemExit, match=f'error: .*{file}'):
        rank_teachers.main([*names(run, 'good'), '--images', '16', '--out', str(file)])


def test_goes_on_where_it_was_stopped(rank_teachers, run, tmp_path, monkeypatch):
    argv = [*names(run, 'random', 'good'), '--out', str(tmp_path), '--images', '16']
    evaluate = rank_teachers.evaluate

    def until_killed(study, model, weights, name):
        if 'good' in name:
            raise KeyboardInterrupt
        return evaluate(study, model, weights, name)

    monkeypatch.setattr(rank_teachers, 'evaluate', until_killed)
    with pytest.raises(KeyboardInterrupt):
        rank_teachers.main(argv)
    assert sorted(path.name for path in (tmp_path / 'candidates').iterdir()) == [
        'student.json',
        'teacher_random.json',
    ]
    measured = []
    monkeypatch.setattr(rank_teachers, 'evaluate', lambda *args: measured.append(args[3]) or evaluate(*args))
    rank_teachers.main(argv)
    assert measured == ['teacher_good_test']
    monkeypatch.setattr(rank_study, 'build_dataset', forbid)
    rank_teachers.main(argv)
    assert measured == ['teacher_good_test']
    # what was measured otherwise is measured again
    monkeypatch.undo()
    monkeypatch.setattr(rank_teachers, 'evaluate', lambda *args: measured.append(args[3]) or {'score': 1.0})
    rank_teachers.main([*argv[:-1], '12'])
    assert measured[1:] == ['teacher_random_test', 'teacher_good_test']


def test_detectors(rank_teachers, tmp_path, capsys):
    tiny.write_coco(tmp_path / 'coco', num=6)
    for depth in (18, 50):
        cfg = tiny.training_cfg(tiny.retinanet(depth), tmp_path / 'coco', tmp_path / 'work')
        cfg.dump(tmp_path / f'r{depth}.py')
    torch.save(tiny.build(tiny.retinanet(50)).state_dict(), tmp_path / 'r50.pth')
    argv = [f'{tmp_path}/r18.py', f'{tmp_path}/r50.py:{tmp_path}/r50.pth', '--images', '3']
    flags = ['--stages', 'neck[0]', 'neck[1]=neck[2]', '--probe', '2', '--embed-dims', '16']
    rank_teachers.main([*argv, *flags, '--out', str(tmp_path / 'out')])
    (row,) = read(tmp_path / 'out')
    assert 0 < float(row['1 - CKA neck[1]']) < 1.2 and 'coco/bbox_mAP' in row
    assert 'how much of it is chance is not known' in capsys.readouterr().out
    # only the images that are shown count
    study, _ = study_of(rank_teachers, argv, tmp_path / 'out')
    measure = rank_measure
    seen, runner_of = [], measure.make_runner
    measure.make_runner = lambda *args: seen.append(runner_of(*args)) or seen[0]
    try:
        measure.evaluate(study, study.student.model, study.model.model.state_dict(), 'again')
    finally:
        measure.make_runner = runner_of
    assert seen[0].test_evaluator.metrics[0].img_ids == [0, 2, 4]


def ranking(rank_teachers, taught, alone=(50.0,), metric='accuracy/top1', images=400):
    """Rows whose numbers are given: label -> metric of the student that was taught, for each seed."""

    def row(label, values, own=50.0):
        scores = {str(seed): {metric: value} for seed, value in enumerate(values)}
        probe = dict(steps=5)
        return rank_rows.Row(label, {}, 10, {metric: own}, dict(a=own / 100), 0.5, probe, scores)

    rows = [row(label, values, 60.0 + i) for i, (label, values) in enumerate(taught.items())]
    seeds = [str(seed) for seed in range(len(alone))]
    return rank_teachers.Ranking(metric, images, row('student', alone), rows, seeds)


def test_margins(rank_teachers):
    verdict = rank_order.verdict
    one = ranking(rank_teachers, dict(x=[52.0], y=[60.0]))
    assert [row.label for row in one.rows] == ['y', 'x']
    # two shares of 50% on 400 images: 1.96 * sqrt(2 * 0.25 / 400)
    assert one.margin(np.array([50.0]), np.array([50.0])) == pytest.approx(6.93, abs=0.01)
    text = ' '.join(verdict(one))
    assert 'y over the student alone: +10.00 ± 6.86: can be told apart.' in text
    assert 'y over x: +8.00 ± 6.86: can be told apart.' in text and 'one seed says nothing' in text
    # differences 2 and 4 on two seeds: 12.71 * sqrt(2) / sqrt(2), with the error of the images
    two = ranking(rank_teachers, dict(x=[52.0, 54.0]), alone=(50.0, 50.0))
    margin = np.hypot(12.71, 1.96 * two.sample_error(53.0, 50.0))
    assert f'+3.00 ± {margin:.2f}: cannot be told apart' in verdict(two)[1]
    assert 'spread over seeds' in verdict(two)[-1]
    box = ranking(rank_teachers, dict(x=[52.0], y=[51.0]), metric='coco/bbox_mAP')
    assert 'x over y: +1.000; how much of it is chance is not known.' in verdict(box)
    no_probe = ranking(rank_teachers, dict(x=[], y=[]), alone=())
    assert verdict(no_probe)[2] == 'y over x: +1.00 ± 6.77: cannot be told apart.'


def test_gains_are_paired_by_seed(rank_teachers):
    two = ranking(rank_teachers, dict(x=[52.0, 61.0]), alone=(50.0, 60.0))
    assert two.gains(two.rows[0]).tolist() == [2.0, 1.0]


def test_cost_is_the_forward_pass_over_the_step(rank_teachers, run, tmp_path, monkeypatch):
    study, (named,) = study_of(rank_teachers, [*names(run, 'good'), '--images', '16'], tmp_path)
    measure = rank_measure
    teacher = models.build(named)
    monkeypatch.setattr(measure, 'take_turns', lambda *_: dict(step=[4.0, 8.0], look=[3.0, 2.0]))
    assert measure.measure_cost(study, teacher, [STAGES], rounds=2) == 0.5


def test_rank_correlation_with_the_gain(rank_teachers):
    correlations = rank_order.correlations
    rows = ranking(rank_teachers, dict(x=[51.0], y=[52.0], z=[53.0]))
    assert correlations(rows) == [
        'Rank correlation with the gain, of 3 teachers: own metric +1.00, CKA gap at a +1.00. '
        'Of fewer than 5, chance alone may give even 1 or -1.'
    ]
    assert correlations(ranking(rank_teachers, dict(x=[51.0], y=[52.0]))) == []
    many = ranking(rank_teachers, {name: [51.0 + i] for i, name in enumerate('vwxyz')})
    assert correlations(many)[0].endswith('CKA gap at a +1.00.')


def test_equal_values_share_a_rank(rank_teachers):
    rank_correlation = stats.rank_correlation
    # ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3: 4.5 / sqrt(4.5 * 5)
    assert rank_correlation([1, 2, 2, 5], [10, 20, 30, 40]) == pytest.approx(0.9**0.5)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def test_limits_any_validation_set(rank_teachers, run):
    val_sample = samples.val_sample
    cfg = Config.fromfile(run / 'student.py')
    for own, expected in (
        (None, [0, 32, 64]),
        (30, [0, 10, 20]),
        (-30, [-30, -20, -10]),
        ([5, 6, 7, 8], [5, 6, 7]),
    ):
        one = copy.deepcopy(cfg)
        if own is not None:
            one.val_dataloader.dataset.indices = own
        part, loader, dataset = val_sample(one, 3, 'x')
        assert part == 'val' and loader.dataset.indices == expected
        limited = DATASETS.build(dict(loader.dataset, _scope_='mmpretrain'))
        assert [dataset[i]['inputs'].sum() for i in range(3)] == [
            limited[i]['inputs'].sum() for i in range(3)
        ]


def test_mistakes_are_one_line(rank_teachers, run, tmp_path, capsys):
    student, good = names(run, 'good')
    nowhere = (f'val_dataloader.dataset.data_root={tmp_path}/no', 'val_dataloader.dataset.download=False')
    for flags, message in (
        ([student, f'{run}/teacher.py:missing.pth'], '.*no such checkpoint: missing.pth'),
        ([student, f'{run}/teacher.py:{run}/student.pth'], '.*weights do not fit.*'),
        ([student, good, '--stages', 'backbone.layer9'], '.*--stages.*has no layer.*'),
        (
            [student, good, '--metric', 'x', '--images', '8'],
            '--metric x: the evaluator reports accuracy/top1',
        ),
        (
            [student, good, '--stages', 'head.fc', '--probe', '2'],
            '--stages head.fc: a probe teaches at maps.*',
        ),
        ([student, good, '--images', '2'], '2 images are too few, 4 are needed'),
        ([student, good, '--cfg-options', 'train_dataloader=None'], '.*no train_dataloader'),
        ([student, good, '--cfg-options', *nowhere], 'the data set cannot .*'),
    ):
        with pytest.raises(SystemExit) as error:
            rank_teachers.main([*flags, '--out', str(tmp_path)])
        assert '\n' not in str(error.value)
        assert error.match(f'error: {message}$')
    with pytest.raises(SystemExit):
        rank_teachers.main([student, good, '--embed-dims', '7'])
    assert '--embed-dims must be a multiple of 4' in capsys.readouterr().err


def test_a_label_may_be_given(rank_teachers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / 'net.py', tmp_path / 'lr=1/net.py'):
        path.parent.mkdir(exist_ok=True)
        path.write_text("model = dict(type='ImageClassifier')")
    texts = ['Net 1=net.py', 'b=lr=1/net.py', 'lr=1/net.py']
    assert [one.label for one in models.parse_all(texts)] == ['Net 1', 'b', 'net']
