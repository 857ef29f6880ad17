import os
import pickle

import pytest
from mmengine.config import Config

DISTILLER = """
default_scope = '{scope}'
model = dict(
    type='dpk_mm.DPKDistiller', student=dict(type='Student', width=1), teacher=dict(config='x'))
test_cfg = dict(type='TestLoop')
pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize'), dict(type='Pack')]
test_dataloader = dict(num_workers=0, dataset=dict(dataset=dict(pipeline=pipeline)))
default_hooks = dict(visualization=dict(type='VisualizationHook'))
"""


@pytest.fixture
def merge(test, config):
    def run(text, *flags):
        path = config(text)
        return test.merge_args(Config.fromfile(path), test.parse_args([path, 'a.pth', *flags]))

    return run


def test_only_the_student_of_a_distiller_is_tested(merge):
    cfg = merge(DISTILLER.format(scope='mmdet'), '--cfg-options', 'model.student.width=2')
    assert cfg.model == dict(type='Student', width=2, _scope_='mmdet')
    assert cfg.load_from == 'a.pth' and not cfg.resume
    plain = 'model = dict(type="Student", student=1, teacher=2)'
    assert merge(plain).model.type == 'Student'


def test_a_sharded_student_is_tested_whole(merge):
    engine = "runner_type = 'FlexibleRunner'\nstrategy = dict(type='dpk_mm.FSDPStrategy')\n"
    cfg = merge(DISTILLER.format(scope='mmdet') + engine)
    assert 'strategy' not in cfg and 'runner_type' not in cfg
    assert merge("model = dict(type='Student')\nrunner_type = 'Own'").runner_type == 'Own'


def test_student_named_by_a_path(merge, config):
    student = config('model = dict(type="Other")', 'student.py')
    text = f'model = dict(type="dpk_mm.DPKDistiller", student={student!r}, teacher=dict())'
    assert merge(text).model.type == 'Other'


def test_only_the_teacher_of_sftn_is_tested(merge):
    text = """
default_scope = 'mmpretrain'
data_preprocessor = dict(mean=[1.0])
model = dict(type='dpk_mm.SFTN', teacher=dict(type='Teacher'), student=dict(type='Student'), blocks=['a'])
"""
    expected = dict(type='Teacher', data_preprocessor=dict(mean=[1.0]), _scope_='mmpretrain')
    assert merge(text).model == expected


def test_student_named_in_a_package(merge):
    path = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
    text = f'model = dict(type="dpk_mm.DPKDistiller", student={path!r}, teacher=dict())'
    assert merge(text).model.type == 'RetinaNet'


def test_show_speaks_both_dialects(merge):
    flags = ('--show', '--show-dir', 'out', '--wait-time', '1', '--interval', '5')
    hook = merge(DISTILLER.format(scope='mmdet'), *flags).default_hooks.visualization
    assert hook.draw and hook.show and hook.test_out_dir == 'out' and hook.interval == 5
    hook = merge(DISTILLER.format(scope='mmpretrain'), *flags).default_hooks.visualization
    assert hook.enable and hook.show and hook.out_dir == 'out' and hook.wait_time == 1
    with pytest.raises(SystemExit, match='visualization'):
        merge('model = dict(type="A")', '--show')


def test_tta_wraps_the_student(merge):
    cfg = merge(DISTILLER.format(scope='mmdet'), '--tta')
    assert cfg.model.type == 'DetTTAModel' and cfg.model.module.type == 'Student'
    pipeline = cfg.test_dataloader.dataset.dataset.pipeline
    assert [step.type for step in pipeline] == ['LoadImageFromFile', 'Resize', 'TestTimeAug']
    flips, (pack,) = pipeline[-1].transforms
    assert [(flip.type, flip.prob) for flip in flips] == [('RandomFlip', 1.0), ('RandomFlip', 0.0)]
    assert pack.type == 'PackDetInputs'
    cfg = merge(DISTILLER.format(scope='mmpretrain'), '--tta', '--amp')
    assert cfg.model.type == 'mmpretrain.AverageClsScoreTTA'
    assert cfg.test_dataloader.dataset.dataset.pipeline[-1].transforms[1][0].type == 'Pack'
    assert cfg.test_cfg.fp16
    assert cfg.test_dataloader.collate_fn.type == 'default_collate'


def test_tests_a_checkpoint_of_a_distiller_config(train, test, toy, workdir):
    train.main([toy, '--no-validate'])
    checkpoint = 'work_dirs/toy/epoch_1.pth'
    flags = ['--cfg-options', 'model.type=ToyDistiller', 'model.student.type=ToyModel']
    flags += ['model.teacher.type=None', '--out', 'out.pkl']
    test.main([toy, checkpoint, *flags])
    assert pickle.loads((workdir / 'out.pkl').read_bytes()) == [dict(score=1.0)] * 8
    dumped = workdir / 'work_dirs/toy/toy.py'
    dumped.write_text('model = 1  # of the training')
    test.main([toy, checkpoint, '--out', 'metrics.json', '--out-item', 'metrics'])
    assert 'score' in (workdir / 'metrics.json').read_text()
    assert dumped.read_text() == 'model = 1  # of the training'


def test_bad_usage_is_one_line(test, toy, workdir, capsys):
    with pytest.raises(SystemExit, match='checkpoint: no such checkpoint: no.pth'):
        test.main([toy, 'no.pth'])
    with pytest.raises(SystemExit):
        test.main([toy, 'no.pth', '--out', 'out.txt'])
    assert '.pkl' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        test.main([toy, 'no.pth', '--out', 'out.txt', '--out-item', 'metrics'])
    assert '.json' in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r'checkpoint: \. is a folder; give a file in it'):
        test.main([toy, '.'])
    assert not (workdir / 'work_dirs').exists()


def test_an_output_that_cannot_be_written_is_told_before_the_test(test, toy, workdir, capsys):
    (workdir / 'file').write_text('')
    os.mkfifo(workdir / 'pipe.pkl')
    for path in ('file/out.pkl', 'pipe.pkl'):
        with pytest.raises(SystemExit):
            test.main([toy, 'no.pth', '--out', path])
        assert 'argument --out: cannot be written' in capsys.readouterr().err
