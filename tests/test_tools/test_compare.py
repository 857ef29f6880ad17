"""Fair comparisons by one command: its figures, its refusals, and that it survives a kill."""

import copy
import csv
import dataclasses
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from dpk_mm.compare import fairness, trial
from dpk_mm.compare.plot import plot
from dpk_mm.compare.plot_cost import plot_cost

ALONE = dict(alone=None)
GONE = {'test_dataloader.dataset.data_root': 'gone'}
METHODS = ('alone', 'broken', 'kd')  # as Config.dump sorts them
# For the workers: losses that fail or crash, and a hook that makes steps long enough to be killed in,
# and can leave a damaged result.
MODULE = """
import atexit, os, signal, time
from pathlib import Path
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from dpk_mm.models import DistillLoss


@MODELS.register_module(force=True)
class BrokenLoss(DistillLoss):
    def forward(self, *args):
        raise RuntimeError('broken\\non purpose')


@MODELS.register_module(force=True)
class CrashingLoss(DistillLoss):
    def forward(self, *args):
        os.kill(os.getpid(), signal.SIGSEGV)


@HOOKS.register_module(force=True)
class SlowHook(Hook):
    def before_train(self, runner):
        name = os.environ.get('DPK_MM_TEST_DAMAGE')
        if name and name in runner.work_dir:
            atexit.register(Path(runner.work_dir, 'result.json').write_text, '{')

    def after_train_iter(self, *args, **kwargs):
        time.sleep(float(os.environ.get('DPK_MM_TEST_SLEEP', 0)))
"""
FLIP = dict(type='RandomFlip', prob=0.5)  # what a resumed run must go on drawing


def distilled(**loss):
    return dict(
        model=dict(
            input_shape=(32, 32),
            teacher=dict(config=tiny_cls.classifier(depth=14, width=6), allow_incomplete=True),
            stages=dict(logits=dict(at='head.fc', loss=loss)),
        )
    )


KD = distilled(type='dpk_mm.LogitsKLLoss', temperature=2.0)
KD['model']['task_loss_weight'] = 0.0  # so that its figures differ from the student's alone


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """Data, the module of the workers, and the config of the student alone."""
    folder = tmp_path_factory.mktemp('compare')
    data = tiny_cls.write_cifar(folder, num=60)
    (folder / 'dpk_mm_test_compare.py').write_text(MODULE)
    base = tiny_cls.training_cfg(tiny_cls.classifier(), data, folder, epochs=3)
    base.train_dataloader.dataset.pipeline = [FLIP, dict(type='PackInputs')]
    for part in ('dataloader', 'evaluator', 'cfg'):
        base[f'test_{part}'] = base[f'val_{part}']
    base.custom_imports = dict(imports=['dpk_mm_test_compare'])
    base.custom_hooks = [dict(type='SlowHook')]
    base.dump(folder / 'base.py')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', os.pathsep.join([str(folder), os.environ.get('PYTHONPATH', '')]))
        patch.syspath_prepend(str(folder))
        yield folder
    sys.modules.pop('dpk_mm_test_compare', None)


def write_input(place, name='input.py', **fields):
    """An input with the methods above; returns its path."""
    broken = dict(distilled(type='BrokenLoss'), custom_imports=dict(imports=['dpk_mm_test_compare']))
    methods = dict(alone=None, kd=KD, broken=broken)
    given = dict(base=str(place / 'base.py'), methods=methods, seeds=[0, 1], reference='kd')
    path = place / name
    Config({**given, **fields}).dump(path)
    return str(path)


def error_of(compare, *args):
    with pytest.raises(SystemExit) as info:
        compare.main([str(arg) for arg in args])
    message = str(info.value.code)
    assert 'error: ' in message and '\n' not in message
    return message


def read_csv(folder):
    with (folder / 'results.csv').open() as file:
        return {(row['method'], int(row['seed'])): row for row in csv.DictReader(file)}


def test_an_out_that_cannot_be_written_is_told_before_the_runs(compare, place):
    (place / 'file').write_text('')
    flags = ['--work-dir', place / 'no_out', '--out', place / 'file/out']
    assert 'file' in error_of(compare, write_input(place), *flags)
    assert not (place / 'no_out/runs').exists()


@pytest.fixture(scope='module')
def whole(compare, place):
    """A comparison that was not interrupted; one of its methods fails."""
    folder = place / 'whole'
    return folder, error_of(compare, write_input(place), '--work-dir', folder, '--jobs', 2)


@pytest.mark.slow
def test_a_failing_method_is_reported_and_the_others_finish(whole):
    folder, message = whole
    for seed in (0, 1):
        assert f'broken, seed {seed}: RuntimeError: broken on purpose (see ' in message
        assert 'Traceback' in (folder / f'runs/broken-{seed}/output.log').read_text()
    assert set(read_csv(folder)) == {(name, seed) for name in ('alone', 'kd') for seed in (0, 1)}


@pytest.mark.slow
def test_a_run_that_crashes_is_one_line_with_the_signal(compare, place):
    crash = dict(distilled(type='CrashingLoss'), custom_imports=dict(imports=['dpk_mm_test_compare']))
    path = write_input(place, methods=dict(crash=crash), seeds=[0], reference=None)
    message = error_of(compare, path, '--work-dir', place / 'crash')
    log = place / 'crash/runs/crash-0/output.log'
    assert message.endswith(f'crash, seed 0: was ended by signal SIGSEGV (11) (see {log})') and log.exists()


@pytest.mark.slow
def test_the_table_has_the_figures_of_the_runs(whole):
    folder, _ = whole
    rows = read_csv(folder)
    top1 = {key: float(row['accuracy/top1']) for key, row in rows.items()}
    assert all(0 <= value <= 100 for value in top1.values())
    table = (folder / 'table.md').read_text().splitlines()
    cells = {line.split(' | ')[0].strip('| '): line.strip('| ').split(' | ') for line in table[2:5]}
    assert list(cells) == list(METHODS)
    assert cells['broken'] == ['broken', *'–––––––']
    alone, kd = ([top1[name, seed] for seed in (0, 1)] for name in ('alone', 'kd'))
    gains = [b - a for a, b in zip(alone, kd)]
    for name, own in (('alone', alone), ('kd', kd)):
        mean, sd = sum(own) / 2, abs(own[0] - own[1]) / 2**0.5
        assert cells[name][1:4] == [f'{own[0]:.2f}', f'{own[1]:.2f}', f'{mean:.2f} ± {sd:.2f}']
    assert gains != [0, 0]
    gain = f'{sum(gains) / 2:+.2f} ± {abs(gains[0] - gains[1]) / 2**0.5:.2f}'
    assert cells['alone'][4] == '–' and cells['kd'][4] == gain
    assert cells['kd'][5] == '–' and cells['alone'][5].startswith(f'{-sum(gains) / 2:+.2f}')
    seconds = {
        name: statistics.median(float(rows[name, seed]['cpu_seconds']) for seed in (0, 1))
        for name in ('alone', 'kd')
    }
    assert cells['kd'][6].endswith(f'(× {seconds["kd"] / seconds["alone"]:.2f})')
    assert cells['alone'][6].endswith('(× 1.00)') and cells['kd'][7].endswith(')')
    assert all(row['steps'] == '30' for row in rows.values())  # 60 images, 6 a batch, 3 epochs
    assert 'up to 2 runs side by side' in '\n'.join(table)
    assert (folder / 'plot.png').exists() and (folder / 'cost.png').exists()


def test_the_pictures_show_every_run_and_what_it_costs(tmp_path, figures):
    found = dict(alone={0: 10.0, 1: 14.0}, kd={0: 20.0, 1: 22.0}, dear={0: 21.0}, broken={})
    plot(found, 'top1', tmp_path / 'plot.png', ['alone', None])
    plot_cost(found, dict(alone=1.0, kd=2.0, dear=3.0), 'top1', 'seconds', tmp_path / 'cost.png')
    (axes,), (cost_axes,) = (figure.axes for figure in figures)
    assert [label.get_text() for label in axes.get_yticklabels()] == ['alone', 'kd', 'dear']
    assert [text.get_text() for text in axes.texts][:2] == ['12.00 ± 2.83', '21.00 ± 1.41']
    dots = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == 'o']
    assert dots == [[10, 14], [20, 22], [21]]
    assert [list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == ':'] == [[12, 12]]
    # what costs more and gives no more is not on the line
    assert list(zip(*cost_axes.lines[0].get_data())) == [(1, 12), (2, 21)]
    assert {text.get_text(): text.xy for text in cost_axes.texts} == dict(
        alone=(1, 12), kd=(2, 21), dear=(3, 21)
    )


@pytest.mark.slow
def test_a_teacher_is_tested_once_by_itself(whole, place, tmp_path, capsys):
    from dpk_mm.compare import teachers

    test_cfg = Config.fromfile(place / 'base.py')
    checkpoint = whole[0] / 'runs/alone-1/epoch_3.pth'  # as good a teacher as any
    teacher = dict(config=str(place / 'base.py'), checkpoint=str(checkpoint), trust_checkpoint=True)
    test_cfg.model = tiny_cls.classifier(depth=14, width=6)  # of the student
    cfg = Config(dict(model=dict(type='dpk_mm.DPKDistiller', student={}, teacher=teacher)))
    methods = [
        SimpleNamespace(name=name, cfg=own, test_cfg=test_cfg)
        for name, own in dict(alone=Config(dict(model={})), kd=cfg, dkd=cfg).items()
    ]
    found, failures = teachers.measure_teachers(methods, tmp_path)
    assert list(found) == ['kd', 'dkd'] and found['kd'] == found['dkd'] and not failures
    result = json.loads((checkpoint.parent / 'result.json').read_text())  # of this very checkpoint
    assert found['kd'][0] == {key: result[key] for key in ('metrics', 'params')}

    assert capsys.readouterr().out.count('testing the teacher') == 1
    assert teachers.measure_teachers(methods, tmp_path) == (found, {})
    assert 'testing the teacher' not in capsys.readouterr().out
    gone = dict(student={}, teacher=dict(teacher, checkpoint='gone.pth'))
    methods[1].cfg = Config(dict(model=dict(gone, type='dpk_mm.DPKDistiller')))
    found, failures = teachers.measure_teachers(methods, tmp_path)
    assert list(found) == ['dkd'] and list(failures) == ['kd']
    test_cfg.model = tiny.retinanet()  # which a classifier teaches, but not what to find
    found, failures = teachers.measure_teachers(methods, tmp_path / 'other')
    assert failures['dkd'].endswith('ImageClassifier has no figure on data of RetinaNet'), failures


@pytest.mark.slow
def test_the_command_tests_the_teachers_and_survives_a_damaged_result(
    whole, compare, place, monkeypatch, capsys
):
    folder, taught = place / 'taught', copy.deepcopy(KD)
    checkpoint = str(whole[0] / 'runs/alone-1/epoch_3.pth')
    taught['model']['teacher'] = dict(
        config=str(place / 'base.py'), checkpoint=checkpoint, trust_checkpoint=True
    )
    path = write_input(place, methods=dict(alone=None, kd=taught), seeds=[0], budget=dict(max_epochs=1))
    args = [path, '--work-dir', str(folder), '--jobs', '2']
    compare.main(args)
    expected = json.loads((whole[0] / 'runs/alone-1/result.json').read_text())['metrics']['accuracy/top1']
    assert (folder / 'teachers.csv').read_text().startswith('method,seed,accuracy/top1')
    assert f'- The teacher itself: {expected:.2f}.' in (folder / 'table.md').read_text().splitlines()
    assert 'testing the teacher' in capsys.readouterr().out
    compare.main(args)
    assert 'testing the teacher' not in capsys.readouterr().out  # its figures are kept

    (file,) = folder.glob('teachers/*.json')
    file.write_text('{')
    compare.main(args)
    said = capsys.readouterr().out
    assert f'The teacher of kd was not tested: ValueError: {file} is damaged' in said
    assert not (folder / 'teachers.csv').exists()

    result = folder / 'runs/kd-0/result.json'
    result.unlink()
    monkeypatch.setenv('DPK_MM_TEST_DAMAGE', 'kd-0')
    assert f'kd, seed 0: {result} is damaged' in error_of(compare, *args)
    assert set(read_csv(folder)) == {('alone', 0)}


@pytest.mark.slow
def test_finished_runs_are_skipped(whole, compare, place):
    folder, _ = whole
    results = sorted(folder.glob('runs/*/result.json'))
    before = [path.stat().st_mtime_ns for path in results]
    assert len(results) == 4
    table = (folder / 'table.md').read_text()
    compare.main([write_input(place, methods=dict(alone=None, kd=KD)), '--work-dir', str(folder)])
    assert [path.stat().st_mtime_ns for path in results] == before
    again = (folder / 'table.md').read_text()
    # its row, and the note on what is missing
    kept = (line for line in table.split('\n') if 'broken' not in line and 'was not done' not in line)
    assert again == '\n'.join(kept)


@pytest.mark.slow
def test_an_unknown_metric_hides_no_failure(whole, compare, place):
    folder, _ = whole
    message = error_of(compare, write_input(place, metric='nope', seeds=[0]), '--work-dir', folder)
    log = folder / 'runs/broken-0/output.log'
    assert f'broken, seed 0: RuntimeError: broken on purpose (see {log}); metric=' in message
    assert message.endswith("metric='nope': the tests gave accuracy/top1")


@pytest.mark.slow
@pytest.mark.parametrize(
    'options, said',
    [
        ({'optim_wrapper.optimizer.lr': 0.01}, 'optim_wrapper.optimizer.lr was 0.05, is 0.01'),
        ({'test_evaluator.topk': (1,)}, 'test.test_evaluator.topk.0 was None, is 1'),
    ],
)
def test_a_changed_config_of_a_finished_run_is_refused(whole, compare, place, options, said):
    path = write_input(place, methods=dict(alone=None), reference=None, options=options)
    message = error_of(compare, path, '--work-dir', whole[0])
    assert f'alone, seed 0 finished with other settings: {said}' in message


@pytest.mark.slow
def test_killed_in_the_second_run_and_started_again(whole, compare, place, root):
    folder = place / 'killed'
    path = write_input(place, methods=dict(alone=None, kd=KD), seeds=[0])
    command = [sys.executable, str(root / 'tools/compare.py'), path, '--work-dir', str(folder)]
    second = folder / 'runs/kd-0'
    process = subprocess.Popen(
        command, env={**os.environ, 'DPK_MM_TEST_SLEEP': '0.1'}, stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 120
        while not (second / 'epoch_1.pth').exists():
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.02)
        time.sleep(0.2)  # on into the second epoch
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    first = folder / 'runs/alone-0/result.json'
    assert first.exists() and not (second / 'result.json').exists()
    kept, steps = first.stat().st_mtime_ns, (second / 'progress').read_text()
    time.sleep(1.5)
    assert (second / 'progress').read_text() == steps != '30 30'  # the worker ended with its parent
    (second / 'epoch_9.pth').write_bytes((second / 'epoch_1.pth').read_bytes()[:1000])  # cut by the kill
    compare.main([path, '--work-dir', str(folder)])
    assert first.stat().st_mtime_ns == kept
    assert 'going on from epoch_1.pth' in (second / 'output.log').read_text()

    # the same figures as without the kill, times and memory aside; and the same weights to the last bit
    compare.main([path, '--work-dir', str(whole[0])])
    tables = [(where / 'table.md').read_text().splitlines() for where in (whole[0], folder)]
    figures = [[line.split(' | ')[:5] for line in table[:4]] for table in tables]
    assert figures[0] == figures[1] and len(figures[0][3]) == 5
    for name in ('alone', 'kd'):
        rows = [read_csv(where)[name, 0] for where in (whole[0], folder)]
        assert [row['steps'] for row in rows] == ['30', '30']
        paths = [where / f'runs/{name}-0/epoch_3.pth' for where in (whole[0], folder)]
        weights = [torch.load(path, weights_only=True)['state_dict'] for path in paths]
        assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


UNFAIR = {
    'student.backbone.depth is 14': dict(KD, model=dict(KD['model'], student=dict(backbone=dict(depth=14)))),
    'init_student is True': dict(KD, model=dict(KD['model'], init_student=True)),
    'train_dataloader.batch_size is 3': dict(KD, train_dataloader=dict(batch_size=3)),
    'train_dataloader.sampler.seed is 5': dict(KD, train_dataloader=dict(sampler=dict(seed=5))),
    'optim_wrapper.optimizer.lr is 0.1': dict(KD, optim_wrapper=dict(optimizer=dict(lr=0.1))),
    'param_scheduler.0.milestones.0 is 2': dict(
        KD, param_scheduler=[dict(type='MultiStepLR', milestones=[2], by_epoch=True)]
    ),
    'train_cfg.max_epochs is 4': dict(KD, train_cfg=dict(max_epochs=4)),
    "default_hooks.ema.type is 'EMAHook'": dict(KD, default_hooks=dict(ema=dict(type='EMAHook'))),
    'default_hooks.param_scheduler.type is None': dict(KD, default_hooks=dict(param_scheduler=None)),
    "custom_hooks.0.type is 'EMAHook'": dict(KD, custom_hooks=[dict(type='EMAHook')]),
    "load_from is 'other.pth'": dict(KD, load_from='other.pth'),
    'env_cfg.cudnn_benchmark is True': dict(KD, env_cfg=dict(cudnn_benchmark=True)),
}


@pytest.mark.parametrize('field', UNFAIR)
def test_what_is_not_fair_is_refused_unless_allowed(compare, place, field):
    method = UNFAIR[field]
    path = write_input(place, methods=dict(alone=None, kd=method))
    message = error_of(compare, path, '--check', '--work-dir', place / 'unfair')
    assert not (place / 'unfair').exists()
    name = field.split(' ')[0].split('.')[0]
    assert f"method 'kd': {field}" in message and f"allow=['{name}']" in message
    path = write_input(place, methods=dict(alone=None, kd=dict(method, allow=[name])), seeds=[0])
    if name != 'init_student':
        compare.main([path, '--check', '--work-dir', str(place / 'allowed' / name)])


def test_the_images_are_prepared_alike():
    """A distiller's own preprocessor wins over that of the config, unless its student has one."""
    from dpk_mm.compare.fairness import check_recipe

    student = tiny_cls.classifier()
    usual = student.pop('data_preprocessor')
    base = Config(dict(data_preprocessor=usual, model=student))
    model = dict(type='dpk_mm.Distiller', student=student, teacher=dict(config='x.py'))
    check_recipe(Config(dict(base, model=model)), base, [])
    model['data_preprocessor'] = dict(usual, mean=[0.0] * 3)
    with pytest.raises(ValueError, match='student.data_preprocessor.mean.0 is 0.0, .* is 127.0'):
        check_recipe(Config(dict(base, model=model)), base, [])
    model['student'] = dict(student, data_preprocessor=usual)
    check_recipe(Config(dict(base, model=model)), base, [])


def test_a_method_says_whether_its_student_inherits():
    from dpk_mm.compare.fairness import check_recipe

    base = Config(dict(model=tiny_cls.classifier()))
    for model in (dict(type='dpk_mm.DPKDistiller'), dict(type='dpk_mm.Distiller', method='pkd')):
        model.update(student=tiny_cls.classifier(), teacher=dict(config='x.py'))
        with pytest.raises(ValueError, match='a method inherits where it can: say model.init_student=False'):
            check_recipe(Config(dict(base, model=model)), base, [])
        check_recipe(Config(dict(base, model=dict(model, init_student=False))), base, [])
        inherits = Config(dict(base, model=dict(model, init_student=True)))
        check_recipe(inherits, base, ['init_student'])
        with pytest.raises(ValueError, match='init_student is True'):
            check_recipe(inherits, base, [])


def test_the_first_step_is_compared(tmp_path):
    """Of the runs of a seed: with that of the first that may lead."""
    from dpk_mm.compare.first_step_hook import FirstStepHook

    def step(value, image=0.0, parts=('student', 'batch'), leads=True, iteration=0):
        model = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(model.weight, value)
        torch.nn.init.zeros_(model.bias)
        hook = FirstStepHook(tmp_path / 'new/0.json', f'run {value}', parts, leads)
        runner = SimpleNamespace(iter=iteration, model=model)
        hook.before_train_iter(runner, 0, dict(inputs=[torch.tensor([image])]))

    step(3.0, leads=False)  # there is none to compare with yet
    step(1.0)
    step(1.0)
    with pytest.raises(ValueError, match="student's first weights differs from that of run 1.0: not a fair"):
        step(2.0)
    with pytest.raises(ValueError, match='first batch differs from that of run 1.0: not a fair'):
        step(2.0, image=1.0, parts=['batch'], leads=False)
    step(2.0, parts=['batch'])
    step(2.0, iteration=1)


@pytest.fixture
def run_all(tmp_path, monkeypatch):
    """Run so many runs at once, each by a script in place of Python; gives the folders and the failures."""
    from dpk_mm.compare import pool, run

    def run_all(script, number):
        python = tmp_path / 'python'
        python.write_text(f'#!/bin/sh\n{script}\nexit 3\n')
        python.chmod(0o755)
        monkeypatch.setattr(sys, 'executable', str(python))
        cfg = Config(dict(indices=list(range(100_000))))  # more than a pipe holds
        runs = []
        for name in 'abc'[:number]:
            (tmp_path / name).mkdir(exist_ok=True)
            method = SimpleNamespace(name=name, allow=[], cfg=cfg, test_cfg=cfg)
            runs.append(run.Run(method, 0, tmp_path / name))
        display = SimpleNamespace(started=str, ended=lambda run, problem: None, show=str)
        return [one.folder for one in runs], pool.run_all(runs, number, 2, tmp_path, display)

    return run_all


def test_runs_take_the_gpus_in_turn(run_all, monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    folders, _ = run_all('echo "$CUDA_VISIBLE_DEVICES $OMP_NUM_THREADS"', 3)
    assert [(folder / 'output.log').read_text() for folder in folders] == ['3 2\n', '5 2\n', '3 2\n']
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES')
    folders, _ = run_all('echo "$CUDA_VISIBLE_DEVICES"', 2)
    assert [(folder / 'output.log').read_text().split('\n')[-2] for folder in folders] == ['0', '1']


@pytest.mark.parametrize('left, why', [(None, 'ended with code 3'), ('{', 'damaged')])
def test_a_worker_that_reads_nothing_or_leaves_half_a_result_ends_itself_alone(run_all, tmp_path, left, why):
    if left is not None:
        for name in 'ab':
            (tmp_path / name).mkdir()
            (tmp_path / name / 'result.json').write_text(left)
    # it ends while the job is being written, of which a pipe holds only the beginning
    _, failures = run_all('sleep 0.2', 2)
    assert list(failures) == ['a, seed 0', 'b, seed 0'] and all(why in text for text in failures.values())


def test_how_long_all_takes_is_said_after_the_first_steps(tmp_path, monkeypatch, capsys):
    from dpk_mm.compare import display, run

    now = [100.0]
    monkeypatch.setattr(display.time, 'monotonic', lambda: now[0])
    runs = [run.Run(SimpleNamespace(name=name), 0, tmp_path / name) for name in ('fast', 'slow', 'next')]
    with display.Display(runs, 0, jobs=2) as shown:
        for one in runs[:2]:
            one.folder.mkdir()
            shown.started(one)
        for tick in range(4):
            now[0] += 10  # the first to import and to build; then steps of 1 and of 2 seconds
            for one, steps in zip(runs, (10, 5)):
                (one.folder / 'progress').write_text(f'{1 + steps * tick} 300')
            shown.show()
        (runs[0].folder / 'progress').write_text('300 300')
        shown.show()
        now[0] += 60  # its test
        shown.ended(runs[0], '')
        eta, shown.tests = shown._eta(), []
        assert eta - shown._eta() == 60  # of each of the two that are left, on two slots
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith('after')]
    # (289 * 1 + 294 * 2 + 300 * 1.5 + 10) / 2 seconds: the third is their mean, and begins as they did
    assert said == ['after the first steps: 3 of 3 runs left, about 11 min']


def test_all_have_the_teacher_of_the_input_unless_they_say_so(compare, place):
    teacher, other = (
        dict(config=tiny_cls.classifier(depth=depth, width=6), allow_incomplete=True) for depth in (14, 20)
    )
    model = dict(input_shape=(32, 32), stages=KD['model']['stages'])
    for name, method in dict(same=dict(model=model), said=dict(model=model, teacher=other)).items():
        path = write_input(place, methods=dict(alone=None, kd=method), teacher=teacher, seeds=[0])
        compare.main([path, '--check', '--work-dir', str(place / name)])
    method = dict(model=dict(model, teacher=other))
    path = write_input(place, methods=dict(alone=None, kd=method), teacher=teacher)
    message = error_of(compare, path, '--check', '--work-dir', place / 'other')
    assert "method 'kd': teacher.config.backbone.depth is 20, that of the comparison is 14" in message


def test_other_first_weights_are_refused(compare, place, monkeypatch):
    """Whatever the config says: here the distiller draws a number before its student is initialised."""
    from dpk_mm.models import Distiller

    def init_weights(self, original=Distiller.init_weights):
        torch.rand(1)
        original(self)

    monkeypatch.setattr(Distiller, 'init_weights', init_weights)
    path = write_input(place, methods=dict(alone=None, kd=KD))
    message = error_of(compare, path, '--check', '--work-dir', place / 'weights')
    assert "method 'kd': the student's first weights (seed 0) are not those of the student alone" in message


@pytest.mark.parametrize(
    'fields, words',
    [
        (dict(seed=[0]), "no field 'seed'"),
        (dict(base='nowhere.py'), 'nowhere.py'),
        (dict(seeds=[]), 'seeds must be a list'),
        (dict(seeds=[1, 1]), 'different whole numbers'),
        (dict(methods=dict(alone=3), reference=None), "method 'alone' must be None, a config file or a dict"),
        (dict(methods=dict(alone=dict(allow=['x'])), reference=None), "method 'alone': allow is a list of"),
        (dict(methods=dict(kd='nowhere.py'), reference=None), 'nowhere.py'),
        (dict(methods=dict(kd=dict(model=dict(stages={}))), reference=None), "method 'kd': no teacher"),
        (dict(budget=dict(epochs=3)), 'budget must be dict(max_epochs=N) or dict(max_iters=N)'),
        (dict(methods=dict(kd=dict(seeds=[0, 0])), reference=None), "method 'kd': seeds must be different"),
        (dict(published=3), 'published must be a dict'),
        (dict(published=dict(kd=True)), "published['kd'] must be a number from 0 to 100, got True"),
        (dict(seeds=[0, -1]), 'seeds[1] must be an integer from 0 to 4294967295, got -1'),
        (dict(methods={'a|b': None}, reference=None), 'methods: a name must be a text of one line without |'),
        (dict(published=dict(x=3)), "published['x']: no such method"),
        (dict(reference='x'), "reference='x': no such method"),
        (dict(reference=['kd']), 'reference must be a text'),
        (dict(teacher=3), "teacher must be 'CONFIG:CHECKPOINT' or dict(config=..., checkpoint=...), got 3"),
        (dict(teacher=dict(checkpoint='a.pth')), 'or dict(config=..., checkpoint=...), got'),
        (dict(options=[1]), 'options must be a dict'),
        (dict(options={'param_scheduler.0.type': 'ReduceOnPlateauLR'}), 'ReduceOnPlateauLR heeds valid'),
        (
            dict(options=dict(custom_hooks=[dict(type='EarlyStoppingHook')])),
            'custom_hooks: EarlyStoppingHook',
        ),
        (
            dict(options={'default_hooks.early': dict(type='EarlyStoppingHook')}),
            'default_hooks: EarlyStopping',
        ),
        (dict(options={'randomness.seed': 1}), 'options: randomness.seed: each run has its own; give seeds'),
        (dict(options={'modell.x': 1}), "options: no field 'modell' in the config"),
        (dict(options={'train_dataloader.dataset.pipeline.7.x': 1}), 'options: Index 7'),
        (
            dict(options={'train_dataloader.dataset.pipeline.0.prob': 'x'}, methods=ALONE, reference=None),
            'train_dataloader.dataset: ',
        ),
        (
            dict(options=GONE, methods=ALONE, reference=None),
            'test_dataloader.dataset: ValueError: ann_file gone/cifar.npz: no such file',
        ),
        (
            dict(methods={1: None}, reference=None),
            'methods: a name must be a text of one line without |, got 1',
        ),
        (dict(methods=dict(kd=dict(options=[1])), reference=None), "method 'kd': options must be a dict"),
        (dict(methods=dict(kd=dict(conifg='kd.py')), reference=None), "method 'kd': no field 'conifg'"),
        (
            dict(methods=dict(kd=dict(options={'modell': 1})), reference=None),
            "method 'kd': no field 'modell'",
        ),
        (dict(methods=dict(kd=dict(allow=[3])), reference=None), "method 'kd': allow is a list of"),
        (
            dict(
                teacher=dict(config='a.py', checkpoint='gone.pth'),
                methods=dict(kd=dict(model={})),
                reference=None,
            ),
            'gone.pth',
        ),
    ],
)
def test_mistakes_in_the_input_are_one_line(compare, place, fields, words):
    assert words in error_of(
        compare, write_input(place, 'mistake.py', **fields), '--work-dir', place / 'mistake'
    )


def test_a_strategy_is_refused_and_a_launcher_is_left_out(compare, place, capsys):
    base = Config.fromfile(place / 'base.py')
    base.merge_from_dict(dict(launcher='pytorch', strategy=dict(type='DDPStrategy')))
    base.dump(place / 'sharded.py')
    given = dict(base=str(place / 'sharded.py'), methods=dict(alone=None, kd=KD))
    message = error_of(
        compare, write_input(place, 'sharded_input.py', **given), '--work-dir', place / 'sharded'
    )
    assert 'strategy: a comparison trains by the plain Runner, on one device; set strategy=None' in message
    path = write_input(place, 'sharded_input.py', **given, options=dict(strategy=None))
    compare.main([path, '--check', '--work-dir', str(place / 'sharded')])
    assert '4 runs, 4 to do' in capsys.readouterr().out


def test_a_method_may_be_sftn_and_the_base_may_not(compare, place, capsys):
    """SFTN trains its teacher: the comparison is of teachers that trained with and without branches."""
    sftn = dict(type='dpk_mm.SFTN', student=tiny_cls.classifier(width=2), input_shape=(32, 32))
    sftn.update(teacher=tiny_cls.classifier(), blocks=['backbone.layer2', 'backbone.layer3'])
    cfg = Config.fromfile(place / 'base.py')
    cfg.model = sftn
    cfg.dump(place / 'sftn.py')
    methods = dict(ALONE, sftn=str(place / 'sftn.py'))
    given = dict(methods=methods, reference=None, seeds=[0], options={'model.head.topk': (1, 2)})
    compare.main([write_input(place, 'sftn_input.py', **given), '--check', '--work-dir', str(place / 'sftn')])
    assert '2 runs, 2 to do; recipes and first weights agree' in capsys.readouterr().out
    settings = json.loads((place / 'sftn/runs/sftn-0/settings.json').read_text())
    assert settings['model']['teacher']['head']['topk'] == settings['test']['model']['head']['topk'] == [1, 2]
    methods['sftn'] = dict(config=str(place / 'sftn.py'), teacher=dict(config='x'))
    path = write_input(place, 'sftn_input.py', methods=methods, reference=None)
    assert 'teacher: SFTN learns from none, so leave it out' in error_of(compare, path, '--check')
    path = write_input(place, 'sftn_input.py', base=str(place / 'sftn.py'), methods=ALONE, reference=None)
    assert 'sftn.py is a SFTN, give the config of its teacher alone' in error_of(compare, path, '--check')


def test_configs_that_are_none_are_one_line(compare, place):
    texts = {'input.txt': '', 'open.py': 'base = (', 'name.py': 'base = nothing', 'bare.py': 'a = 1'}
    for name, text in texts.items():
        (place / name).write_text(text)
        if name != 'bare.py':
            assert name in error_of(compare, place / name)
    path = write_input(place, base=str(place / 'bare.py'))
    assert f'base: {place}/bare.py has no model' in error_of(compare, path)
    (place / 'file').write_text('')
    assert f'{place}/file' in error_of(compare, write_input(place), '--work-dir', place / 'file')


@pytest.mark.parametrize('text', ['{"metrics', '[]', '{}'])
def test_a_damaged_result_is_named(compare, place, text):
    result = place / 'damaged/runs/alone-0/result.json'
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(text)
    path = write_input(place, methods=dict(alone=None), seeds=[0], reference=None)
    assert f'{result} is damaged (' in error_of(compare, path, '--work-dir', place / 'damaged')
    assert result.read_text() == text


def test_a_work_dir_has_one_command_at_a_time(compare, place):
    import fcntl

    folder = place / 'busy'
    folder.mkdir()
    with (folder / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert 'in use' in error_of(compare, write_input(place), '--work-dir', folder)


@pytest.mark.slow
@pytest.mark.parametrize('by_epoch', [True, False])
def test_a_run_that_was_cut_off_draws_what_it_would_have_drawn(place, tmp_path, by_epoch):
    """With random images and a random model, in both kinds of loop."""
    from mmengine.hooks import Hook

    from dpk_mm.compare import training
    from dpk_mm.compare.cost_hook import CostHook
    from dpk_mm.compare.random_state_hook import RandomStateHook

    class Noise(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            weight = runner.model.head.fc.weight.data
            weight += 0.01 * torch.rand_like(weight) + 0.01 * np.random.rand() + 0.01 * random.random()

    class Cut(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 8:
                raise InterruptedError

    def run(name, *hooks, **more):
        cfg = Config.fromfile(place / 'base.py')
        length = dict(max_epochs=3) if by_epoch else dict(max_iters=9)
        cfg.work_dir = str(tmp_path / name)
        cfg.train_cfg = dict(by_epoch=by_epoch, **length)
        cfg.train_dataloader.batch_size = 15 if by_epoch else 6  # steps of an epoch: 4 or 10
        cfg.default_hooks.checkpoint.update(by_epoch=by_epoch, interval=1 if by_epoch else 3)
        cfg.param_scheduler = None
        cfg.update(more)
        cost = CostHook()
        training.train(cfg, hooks=(Noise(), cost, RandomStateHook(), *hooks))
        last = 'epoch_3.pth' if by_epoch else 'iter_9.pth'
        return torch.load(tmp_path / name / last, weights_only=True)['state_dict'], cost.result()['steps']

    expected, steps = run('whole')
    with pytest.raises(InterruptedError):
        run('cut', Cut())
    found, steps_found = run('cut', resume=True)
    assert steps == steps_found == (12 if by_epoch else 9)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_states_of_a_run_on_a_gpu_come_back():
    """mmengine resumes with all tensors of the checkpoint on the GPU, which numpy does not take."""
    from dpk_mm.compare.random_state_hook import RandomStateHook

    class OnGPU(torch.Tensor):
        def numpy(self):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

        def cpu(self):
            return self.as_subclass(torch.Tensor)

    hook, runner, checkpoint = RandomStateHook(), SimpleNamespace(_resume=True, train_loop=None), {}
    hook.before_save_checkpoint(runner, checkpoint)
    expected = np.random.rand(), torch.rand(1).item(), random.random()
    states = checkpoint['dpk_mm_compare']['random']
    name, keys, *rest = states['numpy']
    states.update(numpy=(name, keys.as_subclass(OnGPU), *rest), torch=states['torch'].as_subclass(OnGPU))
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    assert (np.random.rand(), torch.rand(1).item(), random.random()) == expected


def test_weights_to_start_from_bring_no_figures_of_their_training():
    from dpk_mm.compare.cost_hook import CostHook
    from dpk_mm.compare.random_state_hook import RandomStateHook

    checkpoint = dict(dpk_mm_compare=dict(times=torch.ones(2, 7), memory=5, random=dict(numpy=())))
    for resume in (False, True):
        cost, states, runner = CostHook(), RandomStateHook(), SimpleNamespace(_resume=resume)
        cost.after_load_checkpoint(runner, checkpoint)
        states.after_load_checkpoint(runner, checkpoint)
        assert (len(cost.wall), cost.memory, states.kept is not None) == (
            (7, 5, True) if resume else (0, 0, False)
        )


def test_a_budget_scales_what_counts_in_its_unit():
    from dpk_mm.compare.budget import set_budget

    def cfg():
        warm_up = dict(type='LinearLR', by_epoch=False, begin=0, end=100)
        short = dict(type='LinearLR', begin=0, end=1)
        steps = dict(type='MultiStepLR', milestones=[150, 180, 210])
        cosine = dict(type='CosineAnnealingLR', begin=0, end=240, T_max=240, convert_to_iter_based=True)
        whole = dict(type='CosineAnnealingLR', T_max=None)  # from begin to end
        return Config(
            dict(
                train_cfg=dict(by_epoch=True, max_epochs=240),
                param_scheduler=dict(student=[warm_up, short, steps], distiller=[cosine, whole]),
            )
        )

    epochs, iters = cfg(), cfg()
    set_budget(epochs, dict(max_epochs=24))
    assert epochs.train_cfg.max_epochs == 24
    student = epochs.param_scheduler.student
    # the warm-up of one epoch would last no time
    assert [part.type for part in student] == ['LinearLR', 'MultiStepLR'] and student[0].end == 100
    assert student[1].milestones == [15, 18, 21]
    assert epochs.param_scheduler.distiller[0].end == pytest.approx(24)
    assert epochs.param_scheduler.distiller[1].T_max is None
    set_budget(iters, dict(max_iters=4800))
    assert iters.train_cfg == dict(by_epoch=False, max_iters=4800) and not iters.log_processor.by_epoch
    steps, cosine = iters.param_scheduler.student[-1], iters.param_scheduler.distiller[0]
    assert steps.milestones == [3000, 3600, 4200] and not steps.by_epoch
    assert (cosine.end, cosine.T_max, cosine.by_epoch) == (4800, 4800, False)
    assert 'convert_to_iter_based' not in cosine
    with pytest.raises(ValueError, match='max_iters'):
        set_budget(iters, dict(max_epochs=1))


def test_detections_are_in_percent_and_nothing_detected_is_zero():
    from dpk_mm.compare import table

    results = {'a': {0: dict(metrics={'coco/bbox_mAP': 0.25, 'coco/bbox_mAP_50': 0.5}), 1: dict(metrics={})}}
    assert table.find_metric(results) == 'coco/bbox_mAP'
    assert table.values(results, 'coco/bbox_mAP') == {'a': {0: 25.0, 1: 0.0}}
    assert math.isnan(table.value(dict(metrics={}), 'accuracy/top1'))  # of which 0 would be a lie
    with pytest.raises(ValueError, match="metric='accuracy': the tests gave coco/bbox_mAP, coco/bbox_mAP_50"):
        table.find_metric(results, 'accuracy')
    for metric in ('lvis/bbox_AP', 'cityscapes/mAP', 'first/coco/bbox_mAP', 'val/segm_mAP_50'):
        assert table.value(dict(metrics={metric: 0.25}), metric) == 25.0
    for metric in ('coco_panoptic/PQ', 'mIoU', 'accuracy/top1', 'multi-label/mAP'):
        assert table.value(dict(metrics={metric: 25.0}), metric) == 25.0


def test_a_metric_is_one_number():
    from dpk_mm.compare.training import _is_number

    assert all(map(_is_number, (1, 0.5, np.float32(1), np.ones(1), torch.ones(()), torch.ones(1, 1))))
    assert not any(map(_is_number, (torch.ones(2, 2), np.ones(3), 'a', [1.0], [[1], [1, 2]], None)))


def test_a_damaged_checkpoint_is_passed_over(tmp_path, capsys):
    from dpk_mm.compare.worker import newest_checkpoint

    torch.save(dict(function=statistics.fmean), tmp_path / 'epoch_1.pth')  # opens where it is trusted alone
    torch.save(dict(a=torch.ones(9)), tmp_path / 'epoch_2.pth')
    assert newest_checkpoint(tmp_path).name == 'epoch_2.pth'
    (tmp_path / 'epoch_2.pth').write_bytes((tmp_path / 'epoch_2.pth').read_bytes()[:-9])
    assert newest_checkpoint(tmp_path).name == 'epoch_1.pth'
    assert 'epoch_2.pth is damaged' in capsys.readouterr().out and (tmp_path / 'epoch_2.pth').exists()


def test_another_teacher_of_the_same_name_is_another_setting(tmp_path):
    from dpk_mm.compare.plan import Method
    from dpk_mm.compare.run import Run

    path, weights = tmp_path / 'teacher.py', tmp_path / 'teacher.pth'
    path.write_text("model = dict(type='A', mean=1.0)")
    weights.write_bytes(b'1')
    init_cfg = dict(type='Pretrained', checkpoint=str(weights))
    model = dict(type='dpk_mm.Distiller', student=dict(backbone=dict(init_cfg=init_cfg)))
    cfg = Config(dict(model=dict(model, teacher=dict(config=str(path), checkpoint=str(weights)))))

    def run():  # as each command makes it
        return Run(Method('kd', [], False, [0], cfg, cfg), 0, tmp_path)

    before = run().settings()
    assert run().settings() == before
    path.write_text("model = dict(type='A', mean=2.0)")
    assert fairness.first_difference(before, run().settings())[0] == 'teacher.mean'
    path.write_text("model = dict(type='A', mean=1.0)")
    weights.write_bytes(b'2')
    changed = run().settings()['contents']
    assert list(changed) == ['model.student.backbone.init_cfg.checkpoint', 'model.teacher.checkpoint']
    assert not set(changed.values()) & set(before['contents'].values())


def results_of(**metrics):
    """Results of one run with each value of a metric, for seeds from 0 on."""
    rest = dict(seconds=0.5, cpu_seconds=0.25, steps=120, memory=2**30, memory_kind='RSS')
    rest.update(device='CPU', jobs=1, threads=1, params=7)
    return {
        name: {seed: dict(rest, metrics={'accuracy/top1': value}) for seed, value in enumerate(own)}
        for name, own in metrics.items()
    }


def test_results_are_read_as_they_were_written():
    from dpk_mm.compare import csv_files

    results = results_of(alone=[1 / 3, 0.25], kd=[2 / 3])
    results['kd'][0]['metrics'] = {'accuracy/top5': 1.0}
    assert csv_files.read_csv(csv_files.make_csv(results)) == results


@pytest.mark.parametrize(
    'text', ['a,b\n1,2\n', 'method,seed\nx,y\n', f'method,seed,a\nx,0,{"1" * 200_000}\n']
)
def test_results_of_something_else_are_one_line(text):
    from dpk_mm.compare import csv_files

    with pytest.raises(ValueError, match=r'line \d is not of a comparison'):
        csv_files.read_csv(text)


def test_costs_are_told_in_steps_of_the_student_alone():
    from dpk_mm.compare import table

    def run(seconds, cpu_seconds, memory_kind='RSS'):
        return dict(seconds=seconds, cpu_seconds=cpu_seconds, memory_kind=memory_kind)

    results = dict(alone={0: run(9, 2), 1: run(9, 4), 2: run(9, 90)}, kd={0: run(8, 6)}, broken={})
    assert table.step_costs(results, 'alone') == dict(alone=1, kd=1.5)
    assert table.step_costs(results) == dict(alone=4, kd=6)
    on_gpu = dict(alone={0: run(2, 9, 'CUDA')}, kd={0: run(5, 9, 'CUDA')})
    assert table.step_costs(on_gpu, 'alone') == dict(alone=1, kd=2.5)


def test_the_line_of_costs_has_what_none_beats_for_less():
    from dpk_mm.compare.plot_cost import frontier

    points = [(1, 20), (2, 35), (2, 30), (3, 35), (4, 33), (5, 40), (6, 39)]
    assert frontier(points) == [(1, 20), (2, 35), (5, 40)]


def test_published_figures_stand_beside_ours():
    from dpk_mm.compare import report
    from dpk_mm.compare.inputs import Comparison

    methods = dict(alone=None, kd=dict(teacher={}), late='late.py')
    comparison = Comparison('base.py', methods, seeds=[0, 1], published=dict(kd=70.5, late=72.0))
    results = results_of(alone=[60.0, 62.0], kd=[71.0, 72.0])
    lines = report.make_table(results, comparison, 'accuracy/top1')
    cells = {
        line.split(' | ')[0].strip('| '): line.strip('| ').split(' | ')[5:7] for line in lines.splitlines()
    }
    assert cells['method'] == ['published', 'gap'] and cells['alone'] == ['–', '–']
    assert cells['kd'] == ['70.50', '+1.00'] and cells['late'] == ['72.00', '–']
    assert 'Allowed to differ in teacher: kd.' in lines
    assert 'All training steps, by the medians of their runs: 4 min.' in lines
    assert '– marks a run that was not done' in lines  # late was not run
    assert '250 ms (× 1.00)' in lines and "median of the processor's time" in lines
    assert 'of the last checkpoint on the test data.' in lines
    assert 'teacher itself' not in lines
    for teachers, said in (
        (dict(kd=[75.0], late=[75.0]), 'The teacher itself: 75.00.'),
        (dict(kd=[75.0]), 'The teachers themselves: 75.00 (kd).'),  # that of the other was not tested
        (dict(kd=[75.0], late=[80.0]), 'The teachers themselves: 75.00 (kd), 80.00 (late).'),
    ):
        lines = report.make_table(results, comparison, 'accuracy/top1', results_of(**teachers))
        assert f'- {said}' in lines.splitlines()
    faster = dataclasses.replace(comparison, options={'test_dataloader.batch_size': 2})
    assert 'on the test data' in report.make_table(results, faster, 'accuracy/top1')
    moved = dataclasses.replace(comparison, options={'test_dataloader.dataset': dict(split='train')})
    lines = report.make_table(results, moved, 'accuracy/top1')
    assert "of the last checkpoint on the data that the input's options test with." in lines
    for own in results.values():
        own[0].update(memory_kind='CUDA')
    lines = report.make_table(results, comparison, 'accuracy/top1')
    assert '500 ms (× 1.00)' in lines and 'processor' not in lines


def test_a_method_may_have_seeds_of_its_own(tmp_path):
    from dpk_mm.compare import report, run
    from dpk_mm.compare.inputs import Comparison
    from dpk_mm.compare.plan import Method

    comparison = Comparison('base.py', dict(alone=None, kd=dict(seeds=[0, 7])), seeds=[0, 1])
    cfg = Config(dict(model=dict(type='Student')))
    methods = [Method(**vars(row), cfg=cfg, test_cfg=cfg) for row in comparison.rows]
    assert [*map(str, run.make_runs(methods, tmp_path))] == [
        'alone, seed 0',
        'kd, seed 0',
        'alone, seed 1',
        'kd, seed 7',
    ]
    results = results_of(alone=[60.0, 62.0], kd=[71.0])
    results['kd'][7] = dict(results['kd'][0], metrics={'accuracy/top1': 73.0})
    head, _, alone, kd, *notes = report.make_table(results, comparison, 'accuracy/top1').splitlines()
    assert head.startswith('| method | seed 0 | seed 1 | seed 7 | mean')
    assert alone.startswith('| alone | 60.00 | 62.00 | – | 61.00 ± 1.41 |')
    assert kd.startswith('| kd | 71.00 | – | 73.00 | 72.00 ± 1.41 | +11.00 |')  # paired on seed 0
    assert any('seeds of their own' in note for note in notes)
    assert not any('a run that was not done' in note for note in notes)
    del results['kd'][7]
    assert 'a run that was not done' in report.make_table(results, comparison, 'accuracy/top1')


def test_ratios_of_finished_runs_are_gathered(tmp_path):
    from dpk_mm.compare import csv_files

    def run(name, seed, lines, finished=True):
        folder = tmp_path / f'{name}-{seed}/vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
        result = {} if not finished else dict(metrics={})
        return SimpleNamespace(
            method=SimpleNamespace(name=name), seed=seed, folder=folder, result=result or None
        )

    lines = [dict(step=10, ratio_p3=0.5, ratio_p4=0.25), dict(step=20, ratio_p3=0.12345)]
    runs = [
        run('cka', 0, lines),
        run('cka', 1, lines, finished=False),
        run('fixed', 0, [dict(step=10, ratio_p3=0.5), dict(step=20, ratio_p3=0.5)]),
        run('kd', 0, [dict(step=10, loss=1.0)]),
    ]
    text = csv_files.make_ratio_csv(runs)
    assert text == 'method,seed,step,p3,p4\ncka,0,10,0.5000,0.2500\ncka,0,20,0.1235,\n'
    assert csv_files.make_ratio_csv(runs[1:]) == ''


def test_a_check_builds_each_method_once(compare, place, monkeypatch):
    """Also of several seeds; a model of a training is built through its runner."""
    built = []
    build = Runner.build_model
    monkeypatch.setattr(Runner, 'build_model', lambda self, cfg: built.append(1) or build(self, cfg))
    monkeypatch.setattr(trial, 'digest_start', None)
    path = write_input(place, methods=dict(alone=None, kd=KD), seeds=[0, 1], reference=None)
    compare.main([str(path), '--check', '--work-dir', str(place / 'once')])
    assert len(built) == 2


def test_a_runner_builds_the_first_weights_of_its_config(place):
    """Those of a seed are the same, whether other parts are built beside them."""
    cfg = Config.fromfile(place / 'base.py')
    assert trial._build(Config(dict(cfg, randomness=dict(seed=3)))) == fairness.digest_start(cfg, 3)


def test_a_check_builds_all_and_tells_all_at_once(compare, place):
    """Optimizers, schedules, hooks and metrics; of several methods each."""
    lr = dict(KD, optim_wrapper=dict(optimizer=dict(lr=-1)), allow=['optim_wrapper'])
    schedule = [dict(type='MultiStepLR', milestone=[2])]
    late = dict(KD, param_scheduler=schedule, allow=['param_scheduler'])
    path = write_input(place, methods=dict(alone=None, lr=lr, late=late), seeds=[0], reference=None)
    message = error_of(compare, path, '--check', '--work-dir', place / 'parts')
    assert "method 'lr': optim_wrapper.optimizer.lr must be a number above 0, got -1" in message
    assert "method 'late': param_scheduler[0].milestone: MultiStepLR has no such field" in message
    options = {'test_evaluator.topk': 'x', 'train_dataloader.dataset.data_root': 'gone'}
    path = write_input(place, methods=ALONE, seeds=[0], reference=None, options=options)
    message = error_of(compare, path, '--check', '--work-dir', place / 'metrics')
    assert "test_evaluator.topk must be an integer or a list, got 'x'" in message and 'gone' in message
    unfair = dict(kd=dict(KD, load_from='a.pth'), other=dict(KD, load_from='b.pth'))
    path = write_input(place, methods=dict(alone=None, **unfair), seeds=[0], reference=None)
    message = error_of(compare, path, '--check', '--work-dir', place / 'unfair')
    assert (
        "method 'kd': load_from is 'a.pth'" in message and "method 'other': load_from is 'b.pth'" in message
    )
