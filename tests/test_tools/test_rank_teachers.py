"""The ranking of teachers, on teachers whose order is known because they were made so."""

import copy
import csv
import json

import numpy as np
import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from dpk_mm.analysis import models, samples, short_run, teachers
from dpk_mm.analysis.plot_ranking import draw_ranking
from dpk_mm.analysis.ranking import Ranking
from dpk_mm.analysis.teachers import TeacherRow, TeacherStudy
from dpk_mm.compare import inputs, plan
from dpk_mm.registry import DATASETS
from dpk_mm.utils import cka_from_hsics, hsics, record
from dpk_mm.utils.locks import only_one

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
    path = tiny_cls.write_cifar(folder / 'cifar', num=IMAGES) / tiny_cls.NPZ['ann_file']
    arrays = dict(np.load(path), y_train=np.random.default_rng(0).integers(0, 4, IMAGES))
    np.savez(path, **arrays)
    images, labels = arrays['x_test'].transpose(0, 3, 1, 2), arrays['y_test']
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
    sftn = dict(type='dpk_mm.SFTN', teacher=teacher, student=student, blocks=['backbone.layer3'])
    cfg.merge_from_dict(dict(model=dict(sftn, input_shape=(32, 32), _delete_=True)))
    cfg.dump(folder / 'sftn.py')
    return folder


def names(run, *teachers):
    return [f'{run}/student.py', *(f'{run}/teacher.py:{run}/{name}.pth' for name in teachers)]


def read(out):
    return list(csv.DictReader((out / 'ranking.csv').read_text().splitlines()))


def study_of(rank_teachers, argv, out):
    args = rank_teachers.parse_args([*argv, '--out', str(out)])
    student, *others = models.parse_specs([args.student, *args.teachers])
    return TeacherStudy(student, args), others


def test_ranks_by_own_metric_and_goes_on_where_it_was(rank_teachers, run, tmp_path, capsys, monkeypatch):
    argv = [*names(run, 'random', 'good', 'middle'), '--out', str(tmp_path)]
    costs = iter([0.5, 0.25])
    monkeypatch.setattr(teachers, 'measure_cost', lambda *args: next(costs))
    with pytest.raises(StopIteration):  # as if killed at the third
        rank_teachers.main(argv)
    costs = iter([0.75])
    rank_teachers.main(argv)
    rows = read(tmp_path)
    assert [row['teacher'] for row in rows] == ['teacher good', 'teacher middle', 'teacher random']
    assert [float(row['forward / student step']) for row in rows] == [0.25, 0.75, 0.5]
    scores = [float(row['accuracy/top1']) for row in rows]
    assert scores[0] >= 70 and scores[0] - 15 > scores[1] > scores[2] + 15
    said = capsys.readouterr().out
    text = (tmp_path / 'ranking.md').read_text()
    assert text in said and 'Ranked by their own metric alone.' in text and f'| {scores[0]:.2f} |' in text
    assert '- student: no checkpoint, random weights as it starts from (seed 0)' in text
    assert 'teacher good: no checkpoint' not in text
    shares = np.array(scores[:2]) / 100
    margin = 196 * np.sqrt((shares * (1 - shares)).sum() / IMAGES)
    gap = scores[0] - scores[1]
    assert f'teacher good over teacher middle: {gap:+.2f} ± {margin:.2f}: significant.' in text
    # all is kept; on other images it is measured anew
    assert 'testing the teacher' in said
    rank_teachers.main(argv)
    assert read(tmp_path) == rows and 'testing the teacher' not in capsys.readouterr().out
    with pytest.raises(StopIteration):
        rank_teachers.main([*argv, '--images', '16'])


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
    assert int(row['parameters']) == sum(p.numel() for p in model.parameters())
    assert 'accuracy/top1' in (tmp_path / 'ranking.md').read_text().split('Student: ')[1]


@pytest.mark.slow
def test_a_short_run_prefers_the_teacher_that_teaches(rank_teachers, compare, run, tmp_path, capsys):
    flags = ['--out', str(tmp_path), '--short-run', '24', '--embed-dims', '16', '--jobs', '2']
    rank_teachers.main([*names(run, 'random', 'good'), *flags])
    good, random = read(tmp_path)
    assert (good['teacher'], random['teacher']) == ('teacher good', 'teacher random')
    assert float(good['gain']) > 10 and float(good['gain']) > float(random['gain']) + 20
    text = (tmp_path / 'ranking.md').read_text()
    assert "Ranked by the student's gain after 24 steps (seeds: 0)." in text
    assert 'teacher good over teacher random' in text and 'One seed says nothing of the spread' in text
    # a second seed is added to the first, whose runs are kept
    folder = tmp_path / 'short_run_24'
    results = {path: path.stat().st_mtime_ns for path in folder.glob('runs/*/result.json')}
    assert len(results) == 3
    rank_teachers.main([*names(run, 'random', 'good'), *flags, '--seeds', '2'])
    assert all(path.stat().st_mtime_ns == time for path, time in results.items())
    row = read(tmp_path)[0]
    gains = [float(row[f'gain seed {seed}']) for seed in (0, 1)]
    assert gains[0] == float(good['gain'])
    assert float(row['gain']) == pytest.approx(np.mean(gains))
    assert float(row['gain sd']) == pytest.approx(np.std(gains, ddof=1))
    # the folder is one of tools/compare.py
    capsys.readouterr()
    compare.main([str(folder / 'compare.py'), '--work-dir', str(folder), '--check'])
    assert '6 runs, 0 to do' in capsys.readouterr().out
    assert not (folder / 'teachers').exists()  # they were tested before


def written(rank_teachers, argv, folder):
    """The methods of the comparison that a short run is, by name."""
    args = rank_teachers.parse_args([*argv, '--out', str(folder)])
    study, others = study_of(rank_teachers, argv, folder)
    found = {study.student.label: None}
    for spec in others:
        model = models.build_model(spec)
        pairs = study.pairs(spec, model)
        found[spec.label] = short_run.make_method(study, spec, model, pairs, args.embed_dims)
    path = short_run.write_short_run(study, found, args.short_run, range(args.seeds), None, folder / 'short')
    read_input = inputs.read(Config.fromfile(path))
    _, made = plan.make_methods(read_input, Config.fromfile)
    return {method.name: method for method in made}


def test_a_short_run_is_a_fair_comparison(rank_teachers, run, tmp_path):
    argv = [f'{run}/student.py:{run}/student.pth', f'{run}/sftn.py:{run}/good.pth']
    made = written(rank_teachers, [*argv, '--short-run', '40', '--embed-dims', '16'], tmp_path)
    alone, taught = made['student'].cfg, made['sftn'].cfg
    assert alone.train_cfg == dict(by_epoch=False, max_iters=40)
    assert [(part.begin, part.end) for part in alone.param_scheduler] == [(0, 4), (4, 40)]
    assert alone.load_from == taught.load_from
    weights, expected = torch.load(alone.load_from)['state_dict'], torch.load(run / 'student.pth')
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    *stages, logits = taught.model.stages.values()
    assert [stage['student_at'] for stage in stages] == list(STAGES)
    assert [stage['neck']['patch_size'] for stage in stages] == [2, 1]
    assert [stage['loss']['loss_weight'] for stage in stages] == [0.18, 0.3]
    assert logits['at'] == 'head.fc'
    assert taught.model.teacher.config.backbone.depth == 14  # SFTN's own teacher
    assert taught.optim_wrapper.distiller.optimizer.lr == 1e-3


def test_one_layer_of_the_student_may_be_compared_with_several(rank_teachers, run, tmp_path):
    pairs = [f'backbone.layer3={layer}' for layer in STAGES]
    argv = [*names(run, 'good'), '--images', '16', '--stages', *pairs, pairs[0], '--short-run', '1']
    stages = written(rank_teachers, argv, tmp_path)['teacher'].cfg.model.stages
    stages.pop('logits')
    assert [(name, stage.teacher_at) for name, stage in stages.items()] == list(
        zip(('stage_0', 'stage_1'), STAGES)
    )
    study, (spec,) = study_of(rank_teachers, argv, tmp_path)
    teacher = models.build_model(spec)
    gap = study._gap(teacher, study.pairs(spec, teacher))
    assert list(gap) == pairs and gap[pairs[0]] != gap[pairs[1]]


def test_a_folder_has_one_command_at_a_time(rank_teachers, run, tmp_path):
    with (
        only_one(tmp_path),
        pytest.raises(SystemExit, match=f'error: {tmp_path} is in use'),
    ):
        rank_teachers.main([*names(run, 'good'), '--images', '16', '--out', str(tmp_path)])
    file = tmp_path / 'lock'
    with pytest.raises(SystemExit, match=f'error: .*{file}'):
        rank_teachers.main([*names(run, 'good'), '--images', '16', '--out', str(file)])


@pytest.mark.parametrize('form', ['metric', 'list', 'evaluator'])
def test_only_the_objects_of_the_shown_images_count(tmp_path, form):
    found = dict(images=[dict(id=i) for i in range(3)], annotations=[dict(image_id=i) for i in (0, 1, 1, 2)])
    path = tmp_path / 'all.json'
    path.write_text(json.dumps(found))

    class Shown(list):
        def get_data_info(self, i):
            return dict(img_id=self[i])

    metric = dict(type='CocoMetric', ann_file=str(path))
    given = dict(metric=metric, list=[metric], evaluator=dict(type='Evaluator', metrics=[metric]))[form]
    limited = samples.limit_evaluator(given, Shown([1]), tmp_path)
    limited = limited['metrics'] if form == 'evaluator' else limited
    (limited,) = limited if isinstance(limited, list) else [limited]
    content = json.loads(open(limited['ann_file']).read())
    assert content == dict(images=[dict(id=1)], annotations=[dict(image_id=1)] * 2)


@pytest.mark.slow
def test_detectors(rank_teachers, tmp_path):
    tiny.write_coco(tmp_path / 'coco', num=6)
    for depth in (18, 50):
        cfg = tiny.training_cfg(tiny.retinanet(depth), tmp_path / 'coco', tmp_path / 'work')
        cfg.dump(tmp_path / f'r{depth}.py')
    torch.save(tiny.build(tiny.retinanet(50)).state_dict(), tmp_path / 'r50.pth')
    argv = [f'{tmp_path}/r18.py', f'{tmp_path}/r50.py:{tmp_path}/r50.pth', '--images', '3']
    argv += ['--stages', 'neck[0]', 'neck[1]=neck[2]', '--short-run', '2', '--embed-dims', '16']
    study, (spec,) = study_of(rank_teachers, argv, tmp_path / 'out')
    teacher = models.build_model(spec)
    teacher.match_input_normalization(study.sample.preprocessor)
    row = study.measure(spec, teacher, study.pairs(spec, teacher))
    assert 0 < row.gap['neck[1]'] < 1.2 and row.cost > 0 and all('coco/' in name for name in row.metrics)
    # only the objects of the images that are shown count
    shown = json.loads(open(study.cfg.test_evaluator.ann_file).read())
    assert [image['id'] for image in shown['images']] == [0, 2, 4]
    assert {one['image_id'] for one in shown['annotations']} <= {0, 2, 4}
    taught = written(rank_teachers, argv, tmp_path / 'out')['r50'].cfg
    assert [stage.loss.type for stage in taught.model.stages.values()] == ['dpk_mm.FGDLoss'] * 2
    assert 'logits' not in taught.model


def ranking(taught, alone=(50.0,), metric='accuracy/top1', images=400):
    """Rows whose numbers are given: label -> metric of the student that was taught, for each seed."""
    owns = {label: 60.0 + i for i, label in enumerate(taught)}
    if not metric.startswith('accuracy'):
        owns = {label: own / 100 for label, own in owns.items()}
    rows = [TeacherRow(label, 10, {metric: own}, dict(a=own / 100), 0.5) for label, own in owns.items()]
    student = TeacherRow('student', 10, None)
    found = {label: dict(enumerate(values)) for label, values in dict(taught, student=alone).items()}
    return Ranking(metric, images, student, rows, *([5, found] if alone else []))


def test_margins():
    one = ranking(dict(x=[52.0], y=[60.0]))
    assert [row.label for row in one.rows] == ['y', 'x']
    # two shares of 50% on 400 images: 1.96 * sqrt(2 * 0.25 / 400)
    assert one.margin(np.array([50.0]), np.array([50.0])) == pytest.approx(6.93, abs=0.01)
    text = ' '.join(one.verdict())
    assert 'y over the student alone: +10.00 ± 6.86: significant.' in text
    assert 'y over x: +8.00 ± 6.86: significant.' in text and 'One seed says nothing' in text
    # differences 2 and 4 on two seeds: Student's t at one degree of freedom times sqrt(2) / sqrt(2)
    two = ranking(dict(x=[52.0, 54.0]), alone=(50.0, 50.0))
    margin = np.hypot(12.7062, two.image_margin(53.0, 50.0))
    assert f'+3.00 ± {margin:.2f}: not significant' in two.verdict()[1]
    assert 'spread over seeds' in ' '.join(two.verdict())
    box = ranking(dict(x=[52.0], y=[51.0]), metric='coco/bbox_mAP')
    assert 'x over y: +1.00.' in box.verdict() and 'Chance is not known.' in box.verdict()
    alone = ranking(dict(x=[], y=[]), alone=())
    assert alone.verdict()[2] == 'y over x: +1.00 ± 6.77: not significant.'


def test_gains_are_paired_by_seed():
    two = ranking(dict(x=[52.0, 61.0]), alone=(50.0, 60.0))
    assert two.gains(two.rows[0]).tolist() == [2.0, 1.0]


def test_the_picture_shows_the_table(tmp_path):
    two = ranking(dict(x=[52.0, 61.0], y=[49.0, 58.0]), alone=(50.0, 60.0))
    figure = draw_ranking(two)
    figure.savefig(tmp_path / 'ranking.png')
    metric, gap, cost, gain = figure.axes
    assert [label.get_text() for label in metric.get_yticklabels()] == ['x', 'y']
    assert metric.lines[0].get_xdata().tolist() == [60.0, 61.0]
    assert (
        gap.lines[0].get_xdata() == pytest.approx([0.6, 0.61])
        and list(cost.lines[0].get_xdata()) == [0.5] * 2
    )
    dots = [line.get_xdata().tolist() for line in gain.lines if line.get_markersize() == 4]
    assert dots == [[2.0, 1.0], [-1.0, -2.0]]
    assert [axes.get_xlabel() for axes in (metric, gain)] == ['accuracy/top1', 'gain after 5 steps, 95 %']
    assert len(draw_ranking(ranking(dict(x=[], y=[]), alone=())).axes) == 3


def test_cost_is_the_forward_pass_over_the_step(rank_teachers, run, tmp_path, monkeypatch):
    study, (spec,) = study_of(rank_teachers, [*names(run, 'good'), '--images', '16'], tmp_path)
    teacher, asked = models.build_model(spec), []

    def turns(tasks, rounds):
        assert tasks['step']()()['loss'] > 0
        monkeypatch.setattr(
            type(teacher), 'forward', lambda self, images, taps, _: asked.append((images, taps))
        )
        tasks['look']()()
        return dict(step=[9.0, 4.0, 8.0], look=[3.0, 2.0])

    monkeypatch.setattr(teachers, 'take_turns', turns)
    assert teachers.measure_cost(study, teacher, [STAGES]) == 0.5
    ((images, taps),) = asked
    assert images.shape == (16, 3, 32, 32) and taps == [STAGES[1]]


def test_rank_correlation_with_the_gain():
    assert ranking(dict(x=[51.0], y=[52.0], z=[53.0])).correlations() == [
        'Rank correlation with the gain, of 3 teachers: own metric +1.00, CKA gap at a +1.00. '
        'Of fewer than 5, chance alone may give even 1 or -1.'
    ]
    assert ranking(dict(x=[51.0], y=[52.0])).correlations() == []
    many = ranking({name: [51.0 + i] for i, name in enumerate('vwxyz')})
    assert many.correlations()[0].endswith('CKA gap at a +1.00.')


def test_limits_any_validation_set(run):
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
    nowhere = f'val_dataloader.dataset.data_root={tmp_path}/no'
    for flags, message in (
        ([student, f'{run}/teacher.py:missing.pth'], '.*no such checkpoint: missing.pth'),
        ([student, f'{run}/teacher.py:{run}/student.pth'], '.*weights do not fit.*'),
        ([student, good, '--stages', 'backbone.layer9'], '.*--stages.*has no layer.*'),
        (
            [student, good, '--metric', 'x', '--images', '8'],
            "metric='x': the tests gave accuracy/top1",
        ),
        (
            [student, good, '--stages', 'head.fc', '--short-run', '2'],
            '--stages head.fc: a short run teaches at maps.*',
        ),
        ([student, good, '--images', '2'], '2 images are too few, 4 are needed'),
        ([student, good, '--cfg-options', 'train_dataloader=None'], '.*no train_dataloader'),
        ([student, good, '--cfg-options', nowhere], 'the data set cannot .*'),
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
    assert [one.label for one in models.parse_specs(texts)] == ['Net 1', 'b', 'net']
