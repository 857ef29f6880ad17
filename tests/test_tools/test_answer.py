"""Did it help? The flags of tools/compare.py, and its answer."""

import pytest
import tiny
import tiny_cls
import torch

from dpk_mm.compare import inputs, plan
from dpk_mm.compare.answer import answer, compare_with
from dpk_mm.methods.configs import add_distiller, build_blank, spell_out
from dpk_mm.utils.runner import load_config

TOP1 = 'accuracy/top1'


def runs(*values, seconds=1.0):
    """What runs of a method found, seed by seed."""
    return {
        seed: dict(metrics={TOP1: value}, cpu_seconds=seconds, seconds=9.0, memory_kind='RSS')
        for seed, value in enumerate(values)
    }


def test_the_answer_says_how_much_how_sure_and_what_it_costs():
    results = dict(
        alone=runs(20.0, 21.0, 22.0),
        kd=runs(24.0, 25.5, 26.0, seconds=1.5),
        at=runs(20.0, 22.0, 21.0, seconds=0.9),
        gone={},
    )
    kd, at = answer(results, TOP1).splitlines()
    expected = 'kd helped: +4.17 ± 0.29, n = 3, p = 0.0016 of accuracy/top1 (significant). '
    assert kd == expected + 'A step takes 1.50 times as long.'
    assert at.startswith('at did not help: +0.00 ± 1.00, n = 3, p = 1 of') and '(not significant)' in at
    assert at.endswith('A step takes 0.90 times as long. That is noise.')


def test_where_nothing_helped_the_answer_says_what_to_try():
    one_seed = answer(dict(alone=runs(20.0), kd=runs(30.0)), TOP1)
    assert 'kd may have helped: +10.00, n = 1 of accuracy/top1 (too few seeds for a test)' in one_seed
    assert one_seed.endswith('There are too few seeds for a test: give three, and it goes on from here.')
    alike = answer(dict(alone=runs(20.0, 21.0, 22.0), kd=runs(21.0, 22.0, 23.0)), TOP1)
    assert 'n = 3 of accuracy/top1 (all seeds gain alike: no test)' in alike
    lost = answer(dict(alone=runs(20.0, 21.0, 22.0), kd=runs(21.0, 29.0, float('nan'))), TOP1)
    assert 'n = 2 of accuracy/top1 (too few seeds for a test)' in lost
    assert 'Of 3 seeds it has 2.' in lost and 'it has' not in one_seed
    worse = answer(dict(alone=runs(20.0, 21.0, 22.0), kd=runs(10.0, 11.5, 12.0)), TOP1)
    assert worse.startswith('kd did not help: -9.83 ± 0.29') and '(significant)' in worse
    assert 'Nothing helped significantly. What to try, in this order:' in worse
    assert '1. Test the teacher alone' in worse and "by the method 'start'" in worse


def test_a_row_whose_test_gave_no_figure_is_named():
    ap = 'coco/bbox_mAP'
    results = {name: runs(0.02, 0.03, 0.05) for name in ('alone', 'pkd')}
    for seeds in results.values():
        for result in seeds.values():
            result['metrics'] = {ap: result['metrics'][TOP1]}
    results['alone'][1]['metrics'] = {}
    assert answer(results, ap).startswith(f'alone: the test gave no {ap} with seed 1, which counts as 0.')
    assert 'pkd may have helped: +1.00' in answer(results, ap)


def test_the_answer_says_what_a_method_gives_beyond_the_inherited_start():
    results = dict(alone=runs(20.0, 21.0, 22.0), start=runs(23.0, 23.5, 29.0), pkd=runs(23.5, 24.5, 29.0))
    said = answer(results, TOP1)
    start, pkd = said.splitlines()[:2]
    assert 'Over start' not in start
    assert "Over start, which has the teacher's neck and head: +0.50 ± 0.50, n = 3, p = 0.23. A step" in pkd
    assert "by the method 'start'" not in said  # it is there


def test_the_flags_make_an_input(compare, tmp_path, monkeypatch, capsys):
    data = tiny_cls.write_cifar(tmp_path, num=12)
    cfg = tiny_cls.training_cfg(tiny_cls.classifier(), data, tmp_path / 'work')
    for part in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'test_{part}'] = cfg[f'val_{part}']
    cfg.dump(tmp_path / 'base.py')
    torch.save(tiny.build(cfg.model).state_dict(), tmp_path / 'teacher.pth')
    base = str(tmp_path / 'base.py')
    flags = [
        '--baseline',
        base,
        '--teacher',
        f'{base}:{tmp_path}/teacher.pth',
        '--work-dir',
        str(tmp_path / 'w'),
    ]
    with pytest.raises(SystemExit, match='2'):
        compare.main(flags)
    assert '--methods' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='2'):
        compare.main([base, '--seeds', '5'])
    assert '--seeds, --metric and --cfg-options go with --baseline' in capsys.readouterr().err
    # the student alone is there without being named
    compare.main([*flags, '--methods', 'alone, kd, fitnet', '--seeds', '2', '--check'])
    assert '6 runs, 6 to do' in capsys.readouterr().out
    assert compare_with(base, flags[3], ['kd'], 1, metric='single-label/precision').metric.endswith(
        'precision'
    )

    results = dict(alone=runs(20.0), kd=runs(30.0))
    monkeypatch.setattr(compare, 'run_comparison', lambda *args: (results, []))
    compare.main([*flags, '--methods', 'kd'])
    assert capsys.readouterr().out.strip() == answer(results, TOP1)
    with pytest.raises(SystemExit, match='fgd does not fit'):
        monkeypatch.undo()
        compare.main([*flags, '--methods', 'fgd', '--check'])


@pytest.mark.slow
def test_a_row_of_the_flags_is_what_the_flag_of_train_makes(compare, tmp_path):
    """A detector inherits, and its necks fit the pipeline's images."""
    data = tiny.write_coco(tmp_path / 'data')
    cfg = tiny.training_cfg(tiny.retinanet(), data, tmp_path / 'work')
    for part in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'test_{part}'] = cfg[f'val_{part}']
    cfg.dump(tmp_path / 'base.py')
    torch.save(tiny.build(cfg.model).state_dict(), tmp_path / 'teacher.pth')
    base, teacher = str(tmp_path / 'base.py'), f'{tmp_path}/base.py:{tmp_path}/teacher.pth'
    comparison = inputs.read(compare_with(base, teacher, ['start', 'pkd'], 1))
    _, (alone, *methods) = plan.make_methods(comparison, load_config)
    assert alone.cfg.model.type == 'RetinaNet' and len(methods) == 2
    for method in methods:
        flag = load_config(base)
        add_distiller(flag, teacher, method.name)
        row, own = (
            spell_out(model.to_dict(), build_blank(c)) for c in (method.cfg, flag) for model in [c.model]
        )
        assert row.pop('init_student') is own.pop('init_student') is True
        assert {**row, 'teacher': None} == {**own, 'teacher': None}
    flags = [
        '--baseline',
        base,
        '--teacher',
        teacher,
        '--methods',
        'start,pkd',
        '--work-dir',
        str(tmp_path / 'w'),
    ]
    compare.main([*flags, '--check'])
