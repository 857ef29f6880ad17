"""FrozenTeacher: loading it, and what it never does."""

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from torch import Tensor, nn

from dpk_mm.models import FrozenTeacher
from dpk_mm.models.teachers.weights import set_weights
from dpk_mm.registry import MODELS
from dpk_mm.utils.teacher_config import split_checkpoint


@pytest.fixture(scope='module')
def config():
    return tiny.retinanet(depth=18)


@pytest.fixture
def checkpoint(config, tmp_path):
    path = tmp_path / 'teacher.pth'
    torch.save(dict(state_dict=tiny.build(config, seed=7).state_dict()), path)
    return str(path)


def test_loads_every_weight(config, checkpoint):
    teacher = FrozenTeacher(config, checkpoint)
    saved = torch.load(checkpoint)['state_dict']
    assert all(torch.equal(v, saved[k]) for k, v in teacher.model.state_dict().items())
    assert not any(p.requires_grad for p in teacher.parameters())


def test_stays_in_eval_mode(config, checkpoint):
    teacher = FrozenTeacher(config, checkpoint)
    assert teacher.train() is teacher
    assert not any(m.training for m in teacher.modules())


def test_features_are_the_models_own(config, checkpoint):
    teacher = FrozenTeacher(config, checkpoint)
    inputs = torch.rand(2, 3, 64, 64)
    features = teacher(inputs, ['neck[1]', 'backbone.layer2'])
    with torch.no_grad():
        expected = teacher.model.extract_feat(inputs)[1]
    assert torch.equal(features['neck[1]'], expected)
    assert not features['neck[1]'].requires_grad and not features['neck[1]'].is_inference()


def test_dtype_of_its_own(config, checkpoint):
    teacher = FrozenTeacher(config, checkpoint, dtype='bfloat16')
    features = teacher(torch.rand(2, 3, 64, 64), ['neck[0]'])
    assert next(teacher.parameters()).dtype == torch.bfloat16
    assert features['neck[0]'].dtype == torch.float32
    inputs = torch.rand(2, 3, 64, 64)
    for dtype in ('bfloat16', 'float32'):
        teacher = FrozenTeacher(config, checkpoint, dtype=dtype)
        alone = teacher(inputs, ['neck[0]'])['neck[0]']
        with torch.autocast('cpu', torch.float16):  # the student's
            assert torch.equal(teacher(inputs, ['neck[0]'])['neck[0]'], alone)
    with pytest.raises(ValueError, match='dtype must be'):
        FrozenTeacher(config, checkpoint, dtype='half-ish')


@pytest.mark.parametrize('taps', [['neck[1]', 'backbone.layer2'], ['neck.fpn_convs.0', 'backbone.layer3.0']])
def test_compiled_around_its_taps(config, checkpoint, taps):
    """Layers that are read give what they gave; those beside them are compiled, the head never runs."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    plain, teacher = (
        FrozenTeacher(config, checkpoint, **more) for more in ({}, dict(compile=dict(backend=backend)))
    )
    for seed in range(2):
        inputs = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
        expected, features = plain(inputs, taps), teacher(inputs, taps)
        assert list(features) == list(expected)
        assert all(torch.equal(features[tap], expected[tap]) for tap in taps)
    # compiled once: the neck and all stages of the backbone; or all but the part of each that is read inside
    assert len(graphs) == (5 if taps[0] == 'neck[1]' else 9)
    with pytest.raises(ValueError, match=r'compiled to show .*, not backbone.layer4'):
        teacher(inputs, ['backbone.layer4'])


@pytest.mark.parametrize('compile', [dict(bakend='eager'), dict(backend='no-such'), dict(mode='no-such')])
def test_a_mistake_in_the_options_of_compile_is_found_at_build(config, checkpoint, compile):
    with pytest.raises(ValueError, match=r'teacher.compile=.* torch.compile says: .*(bakend|no-such)'):
        FrozenTeacher(config, checkpoint, compile=compile)


@pytest.mark.parametrize('compile', ['yes', 1])
def test_compile_is_a_bool_or_options(config, checkpoint, compile):
    with pytest.raises(ValueError, match=f'compile must be True or False or a dict, got {compile!r}'):
        FrozenTeacher(config, checkpoint, compile=compile)


@pytest.mark.parametrize('dtype', ['int8', 'Tensor', 'float7'])
def test_dtypes_that_are_none(config, checkpoint, dtype):
    with pytest.raises(ValueError, match=f"^dtype must be a floating type .*got '{dtype}'"):
        FrozenTeacher(config, checkpoint, dtype=dtype)


def test_draws_no_random_numbers(config, checkpoint):
    state = torch.get_rng_state()
    FrozenTeacher(config, checkpoint)
    assert torch.equal(state, torch.get_rng_state())


def test_no_checkpoint_must_be_asked_for(config):
    with pytest.raises(ValueError, match='allow_incomplete=True'):
        FrozenTeacher(config)
    FrozenTeacher(config, allow_incomplete=True)


def test_another_architecture_is_refused(checkpoint):
    with pytest.raises(
        ValueError, match=r'RetinaNet.*teacher.pth.*do not fit: size mismatch for backbone.conv1'
    ) as error:
        FrozenTeacher(tiny.retinanet(depth=34, width=8), checkpoint)
    assert len(str(error.value)) < 1500
    FrozenTeacher(tiny.retinanet(depth=34, width=8), checkpoint, allow_incomplete=True)


def test_every_weight_that_does_not_fit_is_counted_once(config, checkpoint):
    saved = torch.load(checkpoint)
    saved['state_dict']['bbox_head.retina_reg.bias'] = torch.zeros(1)
    torch.save(saved, checkpoint)
    with pytest.raises(ValueError, match='1 weights do not fit: size mismatch for bbox_head.retina_reg.bias'):
        FrozenTeacher(config, checkpoint)


@pytest.mark.parametrize('name', ['bbox_head.retina_reg.bias', 'backbone.bn1.running_var'])
def test_a_missing_weight_or_statistic_is_refused_and_named(config, checkpoint, name):
    saved = torch.load(checkpoint)
    del saved['state_dict'][name]
    torch.save(saved, checkpoint)
    with pytest.raises(ValueError, match=f'1 weights do not fit: {name} is not set'):
        FrozenTeacher(config, checkpoint)


def test_an_old_checkpoint_need_not_count_batches(config, checkpoint):
    saved = torch.load(checkpoint)
    for name in [name for name in saved['state_dict'] if 'num_batches_tracked' in name]:
        del saved['state_dict'][name]
    torch.save(saved, checkpoint)
    FrozenTeacher(config, checkpoint)


def test_a_dino_of_the_other_stack_names_the_mmdet_it_wants():
    model = nn.ModuleDict(dict(ref_point_head=nn.Linear(4, 2)))
    weights = {'ref_point_head.weight': torch.ones(2, 8), 'ref_point_head.bias': torch.ones(2)}
    with pytest.raises(ValueError, match='want (onedl-mmdetection|upstream.s mmdet)'):
        set_weights(model, weights, 'teacher', allow_incomplete=False)


@pytest.mark.parametrize('allow_incomplete', [False, True])
def test_a_checkpoint_of_which_no_name_fits_is_refused(config, tmp_path, allow_incomplete):
    """Such as those of RepDistiller: accepting them would leave the whole teacher random."""
    path = tmp_path / 'ckpt_epoch_240.pth'
    torch.save(dict(epoch=240, model={'conv1.weight': torch.zeros(16, 3, 3, 3)}), path)
    message = "no weight fits: .* has 'conv1.weight', .* 'backbone.conv1.weight'.*repdistiller2dpk_mm.py"
    with pytest.raises(ValueError, match=message) as error:
        FrozenTeacher(config, str(path), allow_incomplete)
    assert 'allow_incomplete' not in str(error.value)


def test_a_distillers_own_checkpoint_is_a_teacher(config, checkpoint):
    saved = torch.load(checkpoint)
    saved['state_dict']['distiller.neck_0.loss.weight'] = torch.zeros(3)
    torch.save(saved, checkpoint)
    FrozenTeacher(config, checkpoint)


def test_missing_truncated_and_evil_files_are_refused(config, checkpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match="teacher.checkpoint='nowhere.pth'"):
        FrozenTeacher(config, 'nowhere.pth')
    with open(checkpoint, 'rb+') as file:
        file.truncate(os.path.getsize(checkpoint) // 2)
    with pytest.raises(ValueError, match='teacher.checkpoint=.*truncated'):
        FrozenTeacher(config, checkpoint)
    evil, runs = tmp_path / 'evil.pth', tiny.Call(os.mkdir, str(tmp_path / 'ran'))
    torch.save(dict(state_dict=runs), evil)
    with pytest.raises(ValueError, match='trust_checkpoint=True'):
        FrozenTeacher(config, str(evil))
    evil.write_bytes(pickle.dumps(runs))
    with pytest.raises(ValueError, match='trust_checkpoint=True'):
        FrozenTeacher(config, str(evil))
    assert not (tmp_path / 'ran').exists()


def test_bad_config_is_named():
    with pytest.raises(FileNotFoundError, match="teacher.config='nowhere.py'"):
        FrozenTeacher('nowhere.py', 'x.pth')
    with pytest.raises(FileNotFoundError, match="teacher.config='mmdet::retinanet/nothing.py'"):
        FrozenTeacher('mmdet::retinanet/nothing.py', 'hub')
    with pytest.raises(ValueError, match="'hub' stands for"):
        FrozenTeacher(tiny.retinanet(), 'hub')


def test_hub_asks_for_the_published_weights(monkeypatch):
    asked = []

    def no_network(url, path, *args, **kwargs):
        asked.append(url)
        raise OSError('no network')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: '/nowhere/hub')
    monkeypatch.setattr('pathlib.Path.mkdir', lambda *args, **kwargs: None)
    config = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
    with pytest.raises(FileNotFoundError, match='put it at /nowhere/hub/checkpoints/.*pth'):
        FrozenTeacher(config, 'hub')
    assert 'retinanet_r18_fpn_1x_coco' in asked[0]


def test_the_log_names_file_and_digest(config, checkpoint, logged):
    FrozenTeacher(config, checkpoint)
    digest = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()[:8]
    weights = len(tiny.build(config).state_dict())
    expected = f'Teacher the RetinaNet dict: {weights} weights, from {checkpoint} (SHA-256 {digest})'
    assert expected in logged


def test_all_forms_of_a_teacher_are_one(config, checkpoint, tmp_path):
    path = tmp_path / 'teacher.py'
    Config(dict(model=config, default_scope='mmdet')).dump(path)
    built = tiny.build(config, seed=7)
    inputs = torch.rand(1, 3, 64, 64)
    forms = [f'{path}:{checkpoint}', dict(config=str(path), checkpoint=checkpoint), built]
    stages = dict(p3=dict(at='neck[0]', loss=dict(type='dpk_mm.FeatureMSELoss')))
    feats = []
    for teacher in forms:
        cfg = dict(type='dpk_mm.Distiller', student=tiny.retinanet(), teacher=teacher, stages=stages)
        model = MODELS.build(cfg)
        feats.append(model.teacher(inputs, ['neck[0]'])['neck[0]'])
    assert torch.equal(feats[0], feats[1]) and torch.equal(feats[0], feats[2])
    assert not any(parameter.requires_grad for parameter in built.parameters())  # frozen where it is


@pytest.mark.parametrize('built', [False, True])
@pytest.mark.parametrize('named', [True, False])
def test_a_teacher_that_names_no_preprocessor_gets_the_students_batch(named, built, logged):
    own = dict(type='ClsDataPreprocessor', mean=[127.0] * 3, std=[64.0] * 3)
    teacher = tiny_cls.classifier(depth=14)
    teacher.pop('data_preprocessor', None)
    if named:
        teacher['data_preprocessor'] = dict(own, mean=[0.0] * 3, std=[2.0] * 3)
    cfg = tiny_cls.distiller(data_preprocessor=own)
    cfg['teacher']['config'] = tiny.build(teacher) if built else teacher
    cfg['student'].pop('data_preprocessor', None)
    model, seen = tiny.build(cfg), {}
    for name, backbone in (('student', model.student.backbone), ('teacher', model.teacher.model.backbone)):
        backbone.register_forward_pre_hook(lambda module, args, name=name: seen.update({name: args[0]}))
    model(**tiny_cls.batch(model), mode='loss')
    assert torch.equal(seen['student'], seen['teacher']) != named
    assert any('names no data_preprocessor' in text for text in logged) != named


def test_a_mask_in_float32_fits_a_dtype_of_its_own():
    arch = dict(embed_dims=8, depths=[2, 2], num_heads=[2, 2])
    swin = dict(type='SwinTransformer', arch=arch, img_size=64, out_indices=(1,))
    config = dict(type='ImageClassifier', backbone=swin, _scope_='mmpretrain')
    teacher = FrozenTeacher(config, allow_incomplete=True, dtype='bfloat16')
    for enabled in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            assert teacher(torch.rand(2, 3, 64, 64), ['backbone[0]'])['backbone[0]'].isfinite().all()


def test_what_eval_keeps_follows_the_dtype():
    levit = dict(
        type='LeViT', arch='128s', img_size=64, patch_size=16, out_indices=(2,), _scope_='mmpretrain'
    )
    config = dict(type='ImageClassifier', backbone=levit, _scope_='mmpretrain')
    teacher = FrozenTeacher(config, allow_incomplete=True, dtype='bfloat16')
    assert teacher(torch.rand(2, 3, 64, 64), ['backbone[0]'])['backbone[0]'].isfinite().all()


def test_any_module_of_torch_can_teach():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=8, padding=1), nn.ReLU())
    stages = dict(p3=dict(student_at='neck[0]', teacher_at='0', loss=dict(type='dpk_mm.PKDLoss')))
    cfg = dict(type='dpk_mm.Distiller', student=tiny.retinanet(), teacher=network, stages=stages)
    model = tiny.build(cfg)
    losses = model(**tiny.batch(model), mode='loss')
    assert losses['loss_distill_p3'] > 0


WEIGHTS = {f'layer{i}.weight': torch.ones(3) for i in range(99)}


@pytest.mark.parametrize('teacher', [3, None, {}, dict(checkpoint='a.pth'), ['a.py'], WEIGHTS])
def test_what_is_no_teacher_is_refused(teacher):
    said = "teacher must be 'CONFIG:CHECKPOINT', a config whose weights"
    with pytest.raises(ValueError, match=said) as error:
        tiny.build(dict(tiny.distiller(), teacher=teacher))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    'text, parts',
    [
        ('mmdet::a/b.py', ('mmdet::a/b.py', None)),
        ('mmdet::a/b.py:hub', ('mmdet::a/b.py', 'hub')),
        ('a.py:https://x.y/z.pth', ('a.py', 'https://x.y/z.pth')),
        ('c:/a.py:c:/b.pth', ('c:/a.py', 'c:/b.pth')),
        ('folder.py/a.py', ('folder.py/a.py', None)),
        ('nothing', ('nothing', None)),
    ],
)
def test_config_and_checkpoint_are_told_apart(text, parts):
    assert split_checkpoint(text) == parts


def test_a_teacher_of_other_classes_teaches_maps_and_no_logits():
    student, teacher = tiny_cls.classifier(), tiny_cls.classifier(depth=14, width=6)
    teacher['head']['num_classes'] = 7
    cfg = dict(
        type='dpk_mm.Distiller',
        student=student,
        teacher=dict(config=teacher, allow_incomplete=True),
        method='kd+fitnet',
        input_shape=(32, 32),
    )
    with pytest.raises(ValueError, match='stages.logits .*logits must agree.*logits=None. leaves it out'):
        tiny.build(cfg)
    model = tiny.build(dict(cfg, stages=dict(logits=None)))
    assert list(model.distiller) == ['layer2', 'layer3']


def test_weights_that_are_not_finite_are_refused(config, tmp_path):
    state = tiny.build(config, seed=7).state_dict()
    state['neck.fpn_convs.0.conv.weight'][0] = float('nan')
    torch.save(state, tmp_path / 'nan.pth')
    with pytest.raises(ValueError, match='1 weights are not finite.*neck.fpn_convs.0.conv.weight'):
        FrozenTeacher(config, str(tmp_path / 'nan.pth'), allow_incomplete=True)


@pytest.mark.parametrize(
    'change, kind',
    [
        (Tensor.int, 'int32, strided'),
        (lambda value: value.to(torch.complex64), 'complex64, strided'),
        (lambda value: value.to(torch.float8_e4m3fn), 'float8_e4m3fn, strided'),
        (Tensor.to_sparse, 'float32, sparse_coo'),
        (lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), 'qint8, strided'),
        (lambda value: 3.0, "class 'float'"),
    ],
)
def test_weights_that_torch_would_make_nonsense_of_are_refused(config, tmp_path, change, kind):
    state = tiny.build(config, seed=7).state_dict()
    state['neck.fpn_convs.0.conv.weight'] = change(state['neck.fpn_convs.0.conv.weight'])
    torch.save(state, tmp_path / 'strange.pth')
    with pytest.raises(ValueError, match=f'no real numbers of two .*neck.fpn_convs.0.conv.weight .*{kind}'):
        FrozenTeacher(config, str(tmp_path / 'strange.pth'), allow_incomplete=True)


def test_a_wrapped_teacher_is_unwrapped(config, tmp_path):
    model = tiny.build(config)
    names = model.state_dict().keys()
    for wrap in (nn.DataParallel, ExponentialMovingAverage, torch.compile):
        assert FrozenTeacher(wrap(nn.DataParallel(model))).model.state_dict().keys() == names
    torch.save({f'_orig_mod.{key}': value for key, value in model.state_dict().items()}, tmp_path / 'a.pth')
    FrozenTeacher(config, str(tmp_path / 'a.pth'))
    model.register_buffer('mask', torch.full((2, 2), -torch.inf).triu(1))  # as of texts
    FrozenTeacher(model)
    model.neck.fpn_convs[0].conv.weight.data[0] = -torch.inf
    with pytest.raises(ValueError, match='1 weights are not finite'):
        FrozenTeacher(model)


@pytest.mark.parametrize('field', ['trust_checkpoint', 'allow_incomplete'])
@pytest.mark.parametrize('value', ['no', 'false', 0, None])
def test_a_switch_is_no_text(config, checkpoint, field, value):
    with pytest.raises(ValueError, match=f'^{field} must be True or False, got {value!r}'):
        FrozenTeacher(config, checkpoint, **{field: value})


def test_a_teacher_may_have_no_parameters_but_layers():
    teacher = FrozenTeacher(nn.Sequential(nn.AvgPool2d(2)))
    assert teacher.probe(['0'], (32, 32)) == {'0': (1, 3, 16, 16)}
    assert teacher(torch.ones(2, 3, 8, 8), ['0'])['0'].shape == (2, 3, 4, 4)
    with pytest.raises(ValueError, match='^config: the layers of a TorchScript module cannot be read'):
        FrozenTeacher(torch.jit.script(nn.Conv2d(3, 4, 1)))


def test_the_checkpoint_of_a_bigger_model_is_told(tmp_path, warnings_logged):
    path = tmp_path / 'r34.pth'
    weights = tiny.build(tiny.retinanet(depth=34)).state_dict()
    torch.save(dict(weights, **{'distiller.p4.neck.head.bias': torch.zeros(1)}), path)
    FrozenTeacher(tiny.retinanet(), str(path))
    (said,) = warnings_logged
    surplus = len(weights) - len(tiny.build(tiny.retinanet()).state_dict())
    assert (
        f'{surplus} weights of the checkpoint have no place in the model, such as backbone.layer1.2.' in said
    )
