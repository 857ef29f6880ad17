import copy
import json
from types import SimpleNamespace

import pytest
from mmengine.config import Config, ConfigDict

from dpk_mm.models import DPKDistiller
from dpk_mm.registry import MODELS
from dpk_mm.utils import (
    cli,
    config_file,
    is_distiller,
    load_main_cfg,
    load_model_cfg,
    main_field,
    main_model_cfg,
    teacher_cfg,
)
from dpk_mm.utils.config import as_dict, describe
from dpk_mm.utils.teacher_config import hub_weights

RETINANET = 'mmdet::retinanet/retinanet_r101_fpn_2x_coco.py'
BASE = 'mmdet::_base_/models/retinanet_r50_fpn.py'


def small():
    """A dict of a classifier, with its preprocessor beside it, as mmpretrain writes them."""
    return dict(
        default_scope='mmpretrain',
        data_preprocessor=dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True),
        model=dict(
            type='ImageClassifier',
            backbone=dict(type='ResNet', depth=18, base_channels=4),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=32),
        ),
    )


def write(folder, config):
    path = folder / 'cfg.py'
    path.write_text('\n'.join(f'{key} = {value!r}' for key, value in config.items()))
    return str(path)


def test_a_packages_config():
    model = load_model_cfg(RETINANET)
    assert model.type == 'RetinaNet' and model.backbone.depth == 101
    assert model['_scope_'] == 'mmdet'


def test_one_of_our_own_configs_is_of_its_own_scope():
    model = load_model_cfg('dpk_mm::dpk/coco/retinanet_r152_fpn_2x_coco.py')
    assert model.backbone.depth == 152 and model['_scope_'] == 'mmdet'
    with pytest.raises(FileNotFoundError, match='dpk_mm::dpk/none.py.*no such config'):
        load_model_cfg('dpk_mm::dpk/none.py')
    with pytest.raises(ValueError, match="'hub' stands for"):
        hub_weights('dpk_mm::dpk/coco/retinanet_r152_fpn_2x_coco.py')


def test_a_packages_base_config():
    assert load_model_cfg(BASE).backbone.depth == 50


def test_the_packages_preprocessor_at_the_top_comes_along():
    pytest.importorskip('mmpretrain')
    model = load_model_cfg('mmpretrain::resnet/resnet34_8xb32_in1k.py')
    assert model.data_preprocessor.mean == [123.675, 116.28, 103.53]
    assert model['_scope_'] == 'mmpretrain'


def test_local_file_whole_config_and_model_are_one(tmp_path):
    config = small()
    expected = dict(config['model'], data_preprocessor=config['data_preprocessor'], _scope_='mmpretrain')
    assert load_model_cfg(write(tmp_path, config)) == expected
    assert load_model_cfg(config) == expected
    assert load_model_cfg(ConfigDict(config)) == expected
    assert load_model_cfg(expected) == expected


def test_the_models_own_preprocessor_and_scope_win():
    config = small()
    config['model'].update(data_preprocessor=dict(mean=[9.0]), _scope_='mmdet')
    model = load_model_cfg(config)
    assert model.data_preprocessor == dict(mean=[9.0])
    assert model['_scope_'] == 'mmdet'


def test_a_bare_model_gets_no_scope():
    assert '_scope_' not in load_model_cfg(dict(type='mmdet.RetinaNet'))


@pytest.mark.parametrize('kind', [dict, ConfigDict])
@pytest.mark.parametrize('part', ['config', 'model'])
def test_the_input_is_not_modified(kind, part):
    given = kind(small() if part == 'config' else small()['model'])
    before = json.dumps(given)
    model = load_model_cfg(given)
    model.backbone.depth = 50  # as models do that write into the parts they are given
    model.head.train_cfg = 1
    model.extra = 1
    model.get('data_preprocessor', {})['type'] = 'X'
    assert json.dumps(given) == before


def test_building_leaves_the_input_alone():
    """mmdet's detectors write train_cfg into the bbox_head they are given."""
    given = load_model_cfg(BASE)
    given.backbone.init_cfg = None
    given.backbone.base_channels = 2
    given.neck.update(in_channels=[8, 16, 32, 64], out_channels=4)
    given.bbox_head.update(in_channels=4, feat_channels=4, stacked_convs=1)
    before = copy.deepcopy(given)
    MODELS.build(load_model_cfg(given))
    assert given == before


def test_the_result_is_built_from_any_scope():
    pytest.importorskip('mmpretrain')
    model = MODELS.build(load_model_cfg(small()))
    assert type(model).__module__.startswith('mmpretrain.')
    assert type(model.backbone).__module__.startswith('mmpretrain.')
    assert model.data_preprocessor.mean.flatten().tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    'config, error, message',
    [
        ('nothing/there.py', FileNotFoundError, "teacher.config='nothing/there.py': no such file"),
        ('mmdet::nothing/there.py', FileNotFoundError, "no such config in the installed .*'mmdet'"),
        ('nopkg::a/b.py', ValueError, "teacher.config='nopkg::a/b.py'.*nopkg"),
        (BASE.replace('models/retinanet_r50_fpn', 'default_runtime'), ValueError, "'model' nor 'type'"),
        (dict(backbone=dict(type='ResNet')), ValueError, "teacher.config: neither 'model' nor 'type'"),
        (dict(model=dict(backbone=3)), ValueError, "teacher.config: neither 'model' nor 'type'"),
        ({}, ValueError, "teacher.config: neither 'model' nor 'type'"),
        (3, ValueError, 'teacher.config must be a path or a model dict, got int'),
        (None, ValueError, 'teacher.config must be a path or a model dict, got NoneType'),
    ],
)
def test_what_is_no_config_is_named(config, error, message):
    with pytest.raises(error, match=message):
        load_model_cfg(config, 'teacher.config')


def test_a_local_file_without_a_model_is_named(tmp_path):
    path = write(tmp_path, dict(default_scope='mmdet'))
    with pytest.raises(ValueError, match="'model' nor 'type'") as error:
        load_model_cfg(path)
    assert path in str(error.value)


def test_a_package_that_is_not_installed_is_never_installed(monkeypatch):
    """mmengine would run pip."""
    from mmengine.utils import package_utils

    calls = []
    monkeypatch.setattr(package_utils, 'call_command', lambda *args: calls.append(args))
    with pytest.raises(Exception) as error:
        load_model_cfg('mmflow::pwcnet/pwcnet.py', 'teacher.config')
    assert not calls
    assert isinstance(error.value, (ImportError, ValueError, FileNotFoundError))
    assert 'teacher.config' in str(error.value) and 'mmflow' in str(error.value)


@pytest.mark.parametrize('config', [RETINANET, 'mmpretrain::resnet/resnet34_8xb32_in1k.py'])
def test_hub_weights_are_upstreams_url(config):
    pytest.importorskip(config.split('::')[0])
    url = hub_weights(config)
    assert url.startswith('https://') and url.endswith('.pth')
    assert config.split('/')[-1][:-3] in url


@pytest.mark.parametrize('config', [BASE, 'local/file.py', dict(type='mmdet.RetinaNet')])
def test_hub_refuses_configs_without_published_weights(config):
    with pytest.raises(ValueError, match="teacher.checkpoint: 'hub' stands for") as error:
        hub_weights(config, 'teacher.checkpoint')
    assert describe(config) in str(error.value)


def test_hub_refuses_a_known_config_without_weights(monkeypatch):
    """Some metafiles list a config and no weights."""
    from mmengine.hub import hub

    real = hub._get_cfg_metainfo

    def without(*args):
        return {key: value for key, value in real(*args).items() if key != 'Weights'}

    monkeypatch.setattr(hub, '_get_cfg_metainfo', without)
    with pytest.raises(ValueError, match="'hub' stands for"):
        hub_weights(RETINANET)
    assert load_model_cfg(RETINANET).type == 'RetinaNet'


@pytest.mark.parametrize('config', ['mmdet::nothing/there.py', 'nopkg::a/b.py'])
def test_hub_names_configs_that_do_not_exist(config):
    with pytest.raises((FileNotFoundError, ValueError), match=f'^teacher.checkpoint={config!r}'):
        hub_weights(config, 'teacher.checkpoint')


def test_the_class_says_what_a_distiller_is():
    models = dict(student=dict(type='A'), teacher=dict(config='b'))
    for kind in ('dpk_mm.DPKDistiller', DPKDistiller):
        assert is_distiller(dict(type=kind, **models)) and is_distiller(dict(model=dict(type=kind, **models)))
        assert main_field(dict(type=kind, **models)) == 'student'
    sftn = dict(type='dpk_mm.SFTN', **models)
    assert not is_distiller(sftn) and main_field(sftn) == 'teacher'
    # nothing hangs on what a class or its arguments are called
    for kind in ('NobodysDistiller', 'mmdet.NobodysDistiller', 'nopkg.Distiller', 'mmdet.RetinaNet', None):
        assert not is_distiller(dict(type=kind, **models)) and main_field(dict(type=kind, **models)) is None
    for cfg in (Config(), Config(dict(model=None)), dict(model={})):
        assert not is_distiller(cfg) and main_field(cfg) is None


def test_a_distiller_of_the_users_own_scope_is_one():
    from mmdet.registry import MODELS as MMDET_MODELS

    name = 'DistillerOfATest'
    try:
        MMDET_MODELS.register_module(name, module=type(name, (DPKDistiller,), {}))
        model = dict(type=name, student=dict(type='A'), teacher=dict(config='b'))
        assert is_distiller(Config(dict(model=model, default_scope='mmdet')))
        assert is_distiller(dict(model, _scope_='mmdet'))
        assert not is_distiller(Config(dict(model=model, default_scope='mmpretrain')))
    finally:
        MMDET_MODELS.module_dict.pop(name, None)


@pytest.mark.parametrize('kind, field', [('DPKDistiller', 'student'), ('SFTN', 'teacher')])
def test_the_main_model_can_be_built(tmp_path, kind, field):
    whole = small()
    expected = load_model_cfg(whole)
    other = 'teacher' if field == 'student' else 'student'
    path = tmp_path / 'model.py'
    Config(dict(model=whole['model'])).dump(path)
    for main in (whole['model'], str(path)):
        cfg = Config(dict(whole, model={'type': f'dpk_mm.{kind}', field: main, other: dict(config='x')}))
        assert main_model_cfg(cfg) == expected
    own = dict(mean=[9.0])  # the distiller's wins over that at the top, as in a training
    cfg.model.data_preprocessor = own
    assert main_model_cfg(cfg).data_preprocessor == own
    assert main_model_cfg(Config(whole)) == expected


def test_a_distillations_config_names_its_student_as_a_teacher(tmp_path):
    """A model that was distilled can teach; its own teacher is not loaded."""
    expected = load_model_cfg(small())
    student = dict(type='dpk_mm.Distiller', student=small()['model'], teacher='gone.py:gone.pth')
    path = write(tmp_path, dict(small(), model=student))
    assert load_main_cfg(path) == expected
    assert load_main_cfg(small()) == expected
    teacher = MODELS.build(dict(type='dpk_mm.FrozenTeacher', config=path, allow_incomplete=True))
    assert type(teacher.model).__name__ == 'ImageClassifier'


def test_a_config_in_python_is_plain_and_builds(tmp_path):
    """mmengine names an imported function by its module, where mmcv looks it up by its bare name."""
    path = tmp_path / 'cfg.py'
    lines = [
        'from mmcv.ops import nms',
        'from torch.nn import ReLU',
        'model = dict(rcnn=[dict(nms=dict(type=nms))])',
    ]
    path.write_text('\n'.join([*lines, 'act = dict(type=ReLU)', "old = dict(nms=dict(type='nms'))"]))
    cfg = Config.fromfile(path)
    assert cfg.to_dict()['model']['rcnn'][0]['nms']['type'] == 'mmcv.ops.nms'
    expected = dict(model=dict(rcnn=[dict(nms=dict(type='nms'))]), act=dict(type='torch.nn.ReLU'))
    assert as_dict(cfg) == dict(expected, old=dict(nms=dict(type='nms')))


@pytest.mark.parametrize(
    'teacher, checkpoint',
    [
        ('a/b.py', 'hub'),
        ('a/b.py:c.pth', 'c.pth'),
        ('a/b.py:https://host/c.pth', 'https://host/c.pth'),
        (dict(config='a/b.py', checkpoint='c.pth'), 'c.pth'),
    ],
)
def test_a_teacher_in_a_word_or_in_a_dict(teacher, checkpoint):
    assert teacher_cfg(teacher) == dict(config='a/b.py', checkpoint=checkpoint)


def test_options_reach_the_fields_of_a_teacher_in_a_word(tmp_path):
    models = dict(student=dict(type='A'), teacher='b.py:c.pth')
    for kind, teacher in (('Distiller', dict(config='b.py', checkpoint='d.pth')), ('SFTN', 'b.py:c.pth')):
        cfg = cli.load_config(write(tmp_path, dict(model=dict(type=f'dpk_mm.{kind}', **models))))
        if kind == 'Distiller':
            cfg.merge_from_dict({'model.teacher.checkpoint': 'd.pth'})
        assert cfg.model.teacher == teacher  # SFTN's is a model


def test_what_is_the_students_is_not_passed_over():
    """tools/test.py builds the student alone, and would not see it."""
    student = dict(type='RetinaNet', _scope_='mmdet')
    model = dict(type='dpk_mm.DPKDistiller', student=student, teacher='a.py:a.pth', method=None, stages={})
    assert main_model_cfg(Config(dict(model=model))).type == 'RetinaNet'
    model['test_cfg'] = dict(score_thr=0.5)
    with pytest.raises(
        ValueError, match='model.test_cfg: a DPKDistiller takes no such field; .* model.student.test_cfg'
    ):
        main_model_cfg(Config(dict(model=model)))


RUNS = '!!python/object/apply:os.mkdir ["{}/ran"]'


@pytest.mark.parametrize(
    'text, words',
    [
        (f'model: {RUNS}', 'could not determine a constructor'),
        (
            'a0: &a0 [1, 1]\n' + ''.join(f'a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n' for i in range(1, 30)),
            'over 1,000',
        ),
        ('model: &a [*a]', 'over 1,000,000 values'),
        ('a: ' + '[' * 1500, 'recursion'),
        ('only words', 'holds no config'),
    ],
)
def test_a_yaml_config_runs_nothing(tmp_path, text, words):
    (tmp_path / 'a.yaml').write_text(text.format(tmp_path) if 'python' in text else text)
    (tmp_path / 'b.yaml').write_text('_base_: [a.yaml]')
    for name in 'ab':
        path = str(tmp_path / f'{name}.yaml')
        with pytest.raises(SystemExit, match=f'config {path}: .*{words}'):
            cli.load_config(path)
        with pytest.raises(ValueError):
            load_model_cfg(path, 'teacher')
    assert not (tmp_path / 'ran').exists()
    (tmp_path / 'a.yaml').write_text('model: &a {type: A, other: [*b]}'.replace('*b', '1'))
    assert cli.load_config(str(tmp_path / 'b.yaml')).model == dict(type='A', other=[1])


def test_metafiles_of_a_package_are_read_once(tmp_path, monkeypatch):
    """All of a package's are read for each ``mmdet::`` base, which took seconds a config."""
    read, load = [], config_file.mmengine.load
    counting = SimpleNamespace(load=lambda path, **kwargs: read.append(path) or load(path, **kwargs))
    monkeypatch.setattr(config_file, 'mmengine', counting)
    config_file._read_metafile.cache_clear()
    for name in ('retinanet_r101_fpn_2x_coco', 'retinanet_r50_fpn_1x_coco'):
        path = write(tmp_path, dict(_base_=f'mmdet::retinanet/{name}.py'))
        assert cli.load_config(path).model.type == 'RetinaNet'
    assert len(read) > 50 and len(set(read)) == len(read)


def test_a_package_that_pip_does_not_know_is_not_installed(tmp_path, monkeypatch):
    """As a fork of mmaction2: mmengine would install upstream's, and upstream's mmengine with it."""
    (tmp_path / 'mmaction').mkdir()
    (tmp_path / 'mmaction/__init__.py').touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        'mmengine.utils.package_utils.call_command', lambda command: pytest.fail(str(command))
    )
    with pytest.raises(ImportError, match='mmaction2 is not installed'):
        load_model_cfg('mmaction::unet/unet.py')


def test_a_base_that_mmengine_does_not_find_is_told(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'dpk_mm::dpk/retinanet_r101_r50_coco.py'\n")
    with pytest.raises(
        ValueError, match='_base_: mmengine does not support to load dpk_mm config. Name the file by a path'
    ):
        config_file.read_config(str(path))
    path.write_text("assert False, 'mine'\n")
    with pytest.raises(AssertionError, match='mine'):
        config_file.read_config(str(path))
