"""What the names of methods make of a pair, and that it trains."""

import copy

import pytest
import shrink
import tiny
import tiny_cls
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from dpk_mm.methods import Level, Pair, build_stages, merge_stages, side
from dpk_mm.methods.configs import add_distiller, dump_choice
from dpk_mm.methods.dpk import patch_size
from dpk_mm.models import FGDLoss
from dpk_mm.models.distillers.inheriting import inheritable
from dpk_mm.registry import METHODS, MODELS
from dpk_mm.utils import load_model_cfg, record

DETECTORS = {
    'retinanet': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'faster-rcnn': 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'fcos': 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'gfl': 'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
    'rtmdet': 'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py',
    'yolox': 'mmdet::yolox/yolox_s_8xb8-300e_coco.py',
    'mask-rcnn': 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'dino': 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
}
CLASSIFIERS = {
    'resnet': dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, num_stages=4),
    'mobilenet-v2': dict(type='MobileNetV2', widen_factor=0.25),
    'swin': dict(
        type='SwinTransformer',
        arch=dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
        img_size=128,
        window_size=4,
    ),
    'vit': dict(
        type='VisionTransformer',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=64,
        patch_size=16,
    ),
}
WIDTHS = {'resnet': 64, 'mobilenet-v2': 1280, 'swin': 96, 'vit': 16}


@pytest.fixture(autouse=True)
def first_step():
    # YOLOX asks which step it is
    MessageHub.get_current_instance().update_info('iter', 0)


def detector(name):
    cfg = get_config(DETECTORS[name])
    model = shrink.detector(copy.deepcopy(cfg.model))
    model._scope_ = 'mmdet'
    return model


def classifier(name):
    kind = 'VisionTransformerClsHead' if name == 'vit' else 'LinearClsHead'
    neck = None if name == 'vit' else dict(type='GlobalAveragePooling')
    backbone = copy.deepcopy(CLASSIFIERS[name])
    return dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        backbone=backbone,
        neck=neck,
        head=dict(type=kind, num_classes=5, in_channels=WIDTHS[name], loss=dict(type='CrossEntropyLoss')),
        data_preprocessor=dict(num_classes=5, mean=[127.0] * 3, std=[64.0] * 3, to_rgb=False),
    )


def three_lines(model, teacher=None, **more):
    """What a user writes, with a teacher that has no file."""
    teacher = dict(config=teacher or copy.deepcopy(model), allow_incomplete=True)
    more.setdefault('input_shape', (64, 64))
    return dict(type='dpk_mm.DPKDistiller', student=model, teacher=teacher, **more)


def detector_batch(model):
    inputs = demo_mm_inputs(
        2, [[3, 64, 64]] * 2, num_classes=3, with_mask='Mask' in type(model.student).__name__
    )
    return model.data_preprocessor(inputs, True)


def step(model, batch):
    """One step by SGD; returns what the log shows."""
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=1e-4)))
    model.train()
    torch.manual_seed(0)
    losses = model(**batch, mode='loss')
    parsed, log = model.parse_losses(losses)
    wrapper.update_params(parsed)
    return {name: float(value) for name, value in log.items()}


def classifier_batch(model):
    batch = tiny_cls.batch(model, num=6, size=model.input_shape)
    for sample in batch['data_samples']:
        sample.set_gt_label(int(sample.gt_label) % 5)
    return batch


def in_files(folder, model, scope):
    """``CONFIG:CHECKPOINT`` of a teacher that is this model."""
    Config(dict(model=model, default_scope=scope)).dump(folder / 'teacher.py')
    teacher = tiny.build(model, seed=1)
    teacher.init_weights()  # DINO has parameters of whatever the memory held
    torch.save(teacher.state_dict(), folder / 'teacher.pth')
    return f'{folder}/teacher.py:{folder}/teacher.pth'


def both_ways(folder, model, scope, **more):
    """The distiller of three lines, and that of the flag --teacher."""
    teacher = in_files(folder, copy.deepcopy(model), scope)
    lines = dict(type='dpk_mm.DPKDistiller', student=copy.deepcopy(model), teacher=teacher, **more)
    cfg = Config(dict(model=model, default_scope=scope))
    add_distiller(cfg, teacher, more.get('method'))
    cfg.model.update(more)
    return tiny.build(lines), tiny.build(cfg.model.to_dict())


@pytest.mark.parametrize('name', tiny.slow_but(list(DETECTORS), 'retinanet', 'faster-rcnn', 'yolox'))
def test_three_lines_and_the_flag_train_a_detector(name, tmp_path):
    logs = []
    for model in both_ways(tmp_path, detector(name), 'mmdet', input_shape=(64, 64)):
        assert model.init_student  # one width: neck and head agree
        torch.manual_seed(0)
        model.init_weights()
        logs.append(step(model, detector_batch(model)))
        stages = [key.removeprefix('weight_') for key in logs[-1] if key.startswith('weight_')]
        assert len(stages) == len(model.distiller) == len(model.stage_cfgs) >= 3
        assert {f'loss_distill_{stage}' for stage in stages} <= set(logs[-1])
        assert all(0 < logs[-1][f'weight_{stage}'] < float('inf') for stage in stages)
        assert any(key.startswith('ratio_') for key in logs[-1])
        assert all(value == value for value in logs[-1].values())
    assert logs[0].keys() == logs[1].keys()


@pytest.mark.parametrize('name', tiny.slow_but(list(CLASSIFIERS), 'resnet', 'vit'))
def test_three_lines_and_the_flag_train_a_classifier(name, tmp_path):
    shape = (128, 128) if name == 'swin' else (64, 64)
    for model in both_ways(tmp_path, classifier(name), 'mmpretrain', input_shape=shape):
        model.init_weights()
        log = step(model, classifier_batch(model))
        assert 'loss_distill_logits' in log and 'weight_logits' not in log  # KD has its usual weight
        assert not model.init_student
        assert any(key.startswith('ratio_') for key in log)


@pytest.mark.parametrize('method', sorted(METHODS.module_dict))
def test_every_method_trains_what_it_fits(method):
    trained = set()
    for model, batch in (
        (three_lines(tiny.retinanet(), tiny.retinanet(depth=34), method=method), tiny.batch),
        (three_lines(classifier('resnet'), method=method), classifier_batch),
    ):
        try:
            built = tiny.build(model)
        except ValueError as error:
            assert f'{method} does not fit' in str(error)
            continue
        log = step(built, batch(built))
        trained.add(type(built.student).__name__)
        assert [key for key in log if 'distill' in key] == [
            f'loss_distill_{name}' for name in built.stage_cfgs
        ]
        assert all(log[f'loss_distill_{name}'] > 0 for name in built.stage_cfgs), log
    alone = dict.fromkeys(('fgd', 'start', 'score-mse', 'crosskd'), 'RetinaNet')
    logits = ('kd', 'dkd', 'lskd', 'lskd-dkd', 'dist', 'nkd', 'wttm', 'rld')
    alone.update(dict.fromkeys((*logits, 'sp'), 'ImageClassifier'))
    assert trained == ({alone[method]} if method in alone else {'RetinaNet', 'ImageClassifier'})


def test_a_sum_has_the_stages_of_all():
    model = tiny.build(three_lines(classifier('resnet'), method='dist+dpk+fitnet'))
    losses = {name: type(stage.loss).__name__ for name, stage in model.distiller.items()}
    assert losses == {
        'logits': 'DISTLoss',  # DPK's KD makes way
        'layer3': 'FeatureMSELoss',
        'layer4': 'FeatureMSELoss',
        'layer3_dpk': 'FeatureMSELoss',
        'layer4_dpk': 'FeatureMSELoss',
    }
    assert model.distiller['layer3'].neck is None and model.distiller['layer3_dpk'].neck is not None


@pytest.mark.parametrize(
    'method, message',
    [
        ('nope', "'nope' is not known. Methods are at, crosskd, cwd"),
        ('pdk', r"'pdk' is not known. Did you mean 'pkd' or 'dpk'\? Methods are at"),
        ('kd+kd', "'kd' is there twice"),
        ('', "'' is not known"),
        (3, 'must be a name'),
        ('kd+fgd', r"kd does not fit: it compares the logits of .* do not both give. What fits: 'at'"),
    ],
)
def test_a_method_that_does_not_fit_names_what_would(method, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(three_lines(tiny.retinanet(), method=method))


def test_a_detector_teaches_no_classifier():
    with pytest.raises(ValueError, match='the student is a .*, the teacher a RetinaNet: a detector'):
        tiny.build(three_lines(tiny_cls.classifier(), tiny.retinanet()))


def test_children_change_one_number_and_drop_a_stage():
    mse = dict(type='dpk_mm.FeatureMSELoss')
    stages = dict(p3=dict(loss=dict(loss_weight=0.5)), p5=None, p4=dict(loss=mse))
    model = tiny.build(three_lines(tiny.retinanet(), method='fgd', stages=stages))
    assert list(model.distiller) == ['p3', 'p4']
    assert model.distiller['p3'].loss.loss_weight == 0.5 and model.distiller['p3'].loss.auto is None
    assert model.stage_cfgs['p4']['loss'] == mse  # nothing of FGD's is left
    assert tiny.build(three_lines(tiny.retinanet(), method='fgd')).distiller['p5'].loss.auto is not None


def test_a_number_takes_the_place_of_all_weights():
    model = tiny.build(three_lines(tiny.retinanet(), method='pkd', loss_weight=10.0))
    assert {stage.loss.loss_weight for stage in model.distiller.values()} == {10.0}
    own = dict(p3=dict(loss=dict(loss_weight=2.0)))
    model = tiny.build(three_lines(tiny.retinanet(), method='pkd', loss_weight=10.0, stages=own))
    weights = {name: stage.loss.loss_weight for name, stage in model.distiller.items()}
    assert weights.pop('p3') == 2.0 and set(weights.values()) == {10.0}


def test_merging_by_hand():
    base = dict(a=dict(at='x', loss=dict(type='A', k=1)), b=dict(at='y', loss=dict(type='B')))
    own = dict(a=dict(loss=dict(k=2)), b=None, c=dict(at='z', loss=dict(type='C', _delete_=True)))
    assert merge_stages(base, own) == dict(
        a=dict(at='x', loss=dict(type='A', k=2)), c=dict(at='z', loss=dict(type='C'))
    )
    assert base['a']['loss']['k'] == 1 and base['b'] is not None
    assert merge_stages(base, dict(a=dict(_delete_=True, at='w')))['a'] == dict(at='w')
    two = dict(a=dict(student_at='x', teacher_at='y'))
    assert merge_stages(two, dict(a=dict(at='w')))['a'] == dict(at='w')
    assert merge_stages(two, dict(a=dict(at='w', student_at='z')))['a'] == dict(at='w', student_at='z')
    assert merge_stages(dict(a=dict(at='w')), two) == two


@pytest.mark.parametrize('kind', ['dpk_mm.FGDLoss', 'FGDLoss', FGDLoss])
def test_one_class_by_another_name_keeps_the_settings(kind):
    base = dict(p3=dict(at='neck[0]', loss=dict(type='dpk_mm.FGDLoss', alpha_fg=0.1, temp=0.5)))
    merged = merge_stages(base, dict(p3=dict(loss=dict(type=kind, temp=0.8))))
    assert merged['p3']['loss'] == dict(type=kind, alpha_fg=0.1, temp=0.8)
    other = merge_stages(base, dict(p3=dict(loss=dict(type='PKDLoss'))))
    assert other['p3']['loss'] == dict(type='PKDLoss')


@pytest.mark.parametrize(
    'size, patch',
    [((100, 168), 8), ((50, 84), 4), ((25, 42), 2), ((13, 21), 1), ((20, 20), 2), ((16, 16), 1), ((2, 3), 1)],
)
def test_patches_leave_at_most_300_tokens(size, patch):
    assert patch_size(Level('p', 'a', 'b', 8, 8, size, 8)) == patch


def test_sizes_of_the_paper_follow_the_level():
    maps = tuple(
        Level(f'p{i}', f'neck[{i - 3}]', f'neck[{i - 3}]', 256, 256, size, 2**i)
        for i, size in zip(range(3, 8), [(100, 168), (50, 84), (25, 42), (13, 21), (7, 11)])
    )
    student = torch.nn.Module()
    stages = build_stages('dpk-paper', Pair(student, student, maps, None, True))
    found = {
        name: (neck['patch_size'], neck['encoder']['embed_dims'], neck['decoder']['embed_dims'])
        for name, neck in ((name, stage.get('neck')) for name, stage in stages.items())
        if neck
    }
    assert found == dict(p4=(4, 512, 1024), p5=(2, 256, 512), p6=(1, 256, 256), p7=(1, 256, 256))
    assert 'neck' not in stages['p3']


ALPHAS = {
    'faster-rcnn': 5e-5,
    'fcos': 1.6e-3,
    'gfl': 1e-3,
    'rtmdet': 1.6e-3,
    'retinanet': 2e-3,
    'yolox': 2e-3,
}


@pytest.mark.parametrize('name', ALPHAS)
def test_weights_of_fgd_go_by_the_head(name):
    model = tiny.build(three_lines(detector(name), method='fgd'))
    assert {stage.loss.alpha_fg for stage in model.distiller.values()} == {ALPHAS[name]}


def test_another_width_inherits_nothing_and_another_backbone_all_but_laterals():
    assert not tiny.build(three_lines(tiny.retinanet(), tiny.retinanet(channels=16))).init_student
    model = tiny.build(three_lines(tiny.retinanet(width=8), tiny.retinanet(depth=50)))
    assert model.init_student


def test_statistics_of_losses_and_a_second_backbone_are_not_inherited():
    model, teacher = (tiny.build(tiny.retinanet(), seed) for seed in (0, 1))
    for one in (model, teacher):
        one.bbox_head.loss_cls.register_buffer('acc_sum', torch.ones(10))
        one.neck.add_module('again', copy.deepcopy(one.backbone))
        one.neck.add_module('norm', nn.BatchNorm2d(2))
    names = list(inheritable(model, teacher))
    assert 'neck.norm.running_mean' in names and 'bbox_head.retina_cls.weight' in names
    assert not [name for name in names if 'acc_sum' in name or name.startswith(('neck.again.', 'backbone.'))]


def test_weights_of_its_own_outside_the_backbone_are_not_overwritten():
    loads = dict(type='Pretrained', checkpoint='a.pth')
    for place in ('neck', None):
        student = tiny.retinanet()
        (student[place] if place else student)['init_cfg'] = loads
        assert not tiny.build(three_lines(student, tiny.retinanet(), method='pkd')).init_student
    student = tiny.retinanet()
    student['backbone']['init_cfg'] = loads
    assert tiny.build(three_lines(student, tiny.retinanet(), method='pkd')).init_student


@pytest.mark.parametrize('method, last', [('dpk', 'layer3'), ('at', 'layer3'), ('kr', 'layer3')])
def test_frozen_layers_take_no_part_and_the_log_says_it(method, last, logged):
    student = classifier('resnet')
    student['backbone'].update(frozen_stages=2)
    model = tiny.build(three_lines(student, classifier('resnet'), method=method))
    assert [name for name in model.distiller if name != 'logits'][-1] == 'layer4'
    assert not {'layer1', 'layer2'} & set(model.distiller) and last in model.distiller
    frozen = [line for line in logged if 'frozen' in line.lower() and 'take no part' in line]
    assert frozen and all('backbone.layer2' in line for line in frozen)
    with pytest.raises(ValueError, match=r'stages.layer2: no gradient goes from backbone.layer2'):
        own = dict(layer2=dict(at='backbone.layer2', loss=dict(type='dpk_mm.ATLoss')))
        tiny.build(three_lines(student, classifier('resnet'), method=None, stages=own))
    own = dict(layer2=None, layer1=None)
    again = tiny.build(three_lines(student, classifier('resnet'), method=method, stages=own))
    assert list(again.distiller) == list(model.distiller)
    with pytest.raises(ValueError, match='stages.layer2: its layer is frozen in the student'):
        own = dict(layer2=dict(loss=dict(loss_weight=2.0)))
        tiny.build(three_lines(student, classifier('resnet'), method=method, stages=own))
    student['backbone'].update(frozen_stages=4)
    with pytest.raises(ValueError, match='have none in common: student.backbone.* is frozen'):
        tiny.build(three_lines(student, classifier('resnet'), method='dpk'))


def test_the_blank_image_is_padded_as_a_batch_of_the_student():
    student = tiny.retinanet()
    student['data_preprocessor'].update(pad_size_divisor=32)
    student['backbone'] = dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[1] * 4, channels=[8, 16, 24, 32]),
        out_indices=[0, 1, 2, 3],
        gap_before_final_norm=False,
    )
    student['neck'].update(in_channels=[8, 16, 24, 32])
    model = tiny.build(three_lines(student, tiny.retinanet(), method='pkd', input_shape=(120, 210)))
    assert model.input_shape == (128, 224)
    assert {'p3', 'p4', 'p5'} <= set(model.distiller)


def test_start_inherits_and_distils_nothing():
    model = tiny.build(three_lines(tiny.retinanet(), tiny.retinanet(), method='start'))
    assert model.init_student and not model.distiller and not model.teacher_taps
    log = step(model, tiny.batch(model))
    assert not [key for key in log if 'distill' in key]


def test_score_mse_reads_the_scores_of_its_level():
    model = tiny.build(three_lines(tiny.retinanet(), method='score-mse', input_shape=(256, 256)))
    assert model.layers['p5'] == (('neck[2]',), ('neck[2]', 'bbox_head[0][2]'))
    with pytest.raises(ValueError, match='score-mse does not fit: it needs the class scores'):
        tiny.build(three_lines(detector('faster-rcnn'), method='score-mse'))


def test_shifted_levels_are_paired_by_their_size():
    model = tiny.build(three_lines(tiny.retinanet(), detector('faster-rcnn'), method='pkd'))
    pairs = {name: at for name, at in model.layers.items()}
    assert pairs['p3'] == ('neck[0]', 'neck[1]') and pairs['p4'] == ('neck[1]', 'neck[2]')


def test_stages_of_numbered_layers_have_names_of_their_own():
    backbone = dict(type='dpk_mm.CIFARShuffleNetV2')
    model = dict(classifier('resnet'), backbone=backbone)
    model['head']['in_channels'] = 1024
    built = tiny.build(three_lines(model, method='at', input_shape=(32, 32)))
    assert len(built.distiller) == 3 and len({at for at, _ in built.layers.values()}) == 3


def test_a_sum_with_the_papers_sizes_has_names_that_fit():
    names = list(tiny.build(three_lines(tiny.retinanet(), method='pkd+dpk-paper')).distiller)
    assert names == ['p3', 'p4', 'p5', 'p3_dpk_paper', 'p4_dpk_paper', 'p5_dpk_paper']


def test_a_size_that_does_not_fit_is_explained():
    with pytest.raises(
        ValueError, match=r'student: RTMDet does not run on .* It runs on \(224, 224\): give input_shape'
    ):
        tiny.build(three_lines(detector('rtmdet'), input_shape=(200, 200)))


HEADS = dict(
    arcface=dict(type='ArcFaceClsHead', num_classes=5, in_channels=64),
    levit=dict(type='LeViTClsHead', num_classes=5, in_channels=64, distillation=True),
    reid=dict(
        type='mmdet.LinearReIDHead',
        num_fcs=1,
        in_channels=64,
        fc_channels=16,
        out_channels=8,
        num_classes=5,
        loss_cls=dict(type='mmpretrain.CrossEntropyLoss'),
    ),
)


@pytest.mark.parametrize('name, at', [('arcface', 'head'), ('levit', 'head'), ('reid', None)])
def test_logits_are_what_the_teacher_predicts(name, at):
    """Not a cosine without its scale, one of two classifiers that are averaged, or an embedding."""
    student, teacher = classifier('resnet'), dict(classifier('resnet'), head=HEADS[name])
    if at is not None:
        built = tiny.build(three_lines(student, teacher, method='kd'))
        assert built.layers['logits'] == ('head.fc', at)
        inputs = classifier_batch(built)['inputs']
        feat, model = built.teacher(inputs, [at])[at], built.teacher.model
        scores = [sample.pred_score for sample in model(inputs, mode='predict')]
        assert torch.allclose(feat.softmax(1), torch.stack(scores), atol=1e-6)
    for one, other in ((teacher, teacher), (teacher, student), *([(student, teacher)] if at is None else [])):
        with pytest.raises(ValueError, match='kd does not fit'):
            tiny.build(three_lines(one, other, method='kd'))


def test_where_the_last_maps_differ_in_size_they_are_a_pair():
    """As in the authors' config: the last two sizes of ShuffleNetV2, 4 and 8, beside ResNet's 8 and 16."""
    student, teacher = (
        dict(load_model_cfg(f'dpk_mm::dpk/_base_/models/{name}_cifar.py'), _scope_='mmpretrain')
        for name in ('shufflenet-v2', 'resnet8x4')
    )
    built = tiny.build(three_lines(student, teacher, method='fitnet', input_shape=(32, 32)))
    layers = [at for name, at in built.layers.items() if name != 'logits']
    pairs = dict(layers[-2:])
    assert pairs == {'backbone.layers.1': 'backbone.layer2', 'backbone.layers.3': 'backbone.layer3'}


def test_a_student_without_labels_is_told():
    head = dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'))
    student = dict(type='SimCLR', backbone=CLASSIFIERS['resnet'], head=head, _scope_='mmpretrain')
    with pytest.raises(ValueError, match='student: a SimCLR learns without labels and predicts none'):
        tiny.build(three_lines(student, classifier('resnet')))


def test_a_cascade_of_segmentors_is_read_at_its_last_head():
    class Head(nn.Module):
        num_classes, ignore_index = 4, 255

        def __init__(self):
            super().__init__()
            self.conv_seg = nn.Conv2d(2, 4, 1)

    model = nn.Module()
    model.decode_head = nn.ModuleList([Head(), Head()])
    shapes = {f'decode_head.{i}.conv_seg': torch.Size((1, 4, 8, 8)) for i in (0, 1)}
    assert side._pixels(model, shapes) == ['decode_head.1.conv_seg']
    del shapes['decode_head.1.conv_seg']  # as of PointRend, whose last head gives points
    assert not side._pixels(model, shapes)


def test_logits_are_those_of_the_classes_and_of_one_softmax():
    hidden = dict(type='StackedLinearClsHead', num_classes=5, in_channels=64, mid_channels=[32])
    built = tiny.build(three_lines(dict(classifier('resnet'), head=hidden), method='kd'))
    with record(built.student, built.student_taps) as feats:
        built.student(classifier_batch(built)['inputs'], mode='predict')
    assert all(feat.shape == (6, 5) for feat in feats.values())
    labels = dict(type='MultiLabelLinearClsHead', num_classes=5, in_channels=64)
    with pytest.raises(ValueError, match='the logits of one softmax, which ImageClassifier'):
        tiny.build(three_lines(dict(classifier('resnet'), head=labels), method='kd'))
    assert 'logits' not in tiny.build(three_lines(dict(classifier('resnet'), head=labels))).distiller


def test_a_detector_whose_head_fails_on_a_blank_image_is_distilled(monkeypatch):
    def fails(*args, **kwargs):
        raise KeyError('border')

    monkeypatch.setattr('mmdet.models.RetinaHead.predict', fails)
    built = tiny.build(three_lines(tiny.retinanet()))
    assert list(built.distiller) == ['p3', 'p4', 'p5']
    stages = dict(p3=dict(at='neck[9]', loss=dict(type='dpk_mm.PKDLoss')))
    with pytest.raises(ValueError, match='neck'):
        tiny.build(three_lines(tiny.retinanet(), method=None, stages=stages))


@pytest.mark.parametrize(
    'fields, message',
    [
        (
            dict(stages=dict(nope=None)),
            'stages.nope=None: the method has no such stage to leave out',
        ),
        (
            dict(optimizer=dict(foo=1)),
            'optimizer.foo: InnerAdamW has no such field, but lr, betas, weight_decay, max_norm',
        ),
        (dict(optimizer='AdamW'), 'optimizer must be a dict of lr'),
        (dict(optimizer=dict(betas=0.9)), 'optimizer.betas must be two numbers'),
        (dict(input_shape=64), 'input_shape must be a height and a width'),
        (dict(input_shape=(64, -1)), 'input_shape must be a height and a width'),
        (dict(stages=dict(p3=dict(loss=None))), 'stages.p3 needs a loss'),
        (dict(stages=dict(p3=3)), 'stages.p3 must be a dict'),
        (dict(stages=dict(lossy=dict(at='neck[0]'))), "stages: the name 'lossy' has 'loss' in it"),
        (
            dict(stages=dict(p3=dict(at='neck[0]', student_at='neck[0]', teacher_at='neck[0]'))),
            'stages.p3.at says nothing beside both',
        ),
        (
            dict(
                method=None,
                stages=dict(p3=dict(at='neck[0]', loss=dict(type='dpk_mm.ATLoss'))),
                loss_weight=2,
            ),
            'loss_weight is for the stages of a method',
        ),
        (dict(stages=[1]), 'stages must be a dict of stages'),
        (dict(loss_weight='1'), "loss_weight must be a number from 0 on, 'auto', or dict"),
        (dict(method='start', init_student=False), 'nothing would be distilled, or inherited'),
    ],
)
def test_mistakes_beside_a_method_name_the_field(fields, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(three_lines(tiny.retinanet(), **fields))


def test_without_its_neck_a_stage_has_no_prior():
    model = tiny.build(three_lines(tiny.retinanet(), stages=dict(p4=dict(neck=None))))
    assert model.distiller['p4'].neck is None and model.distiller['p4'].prior is None


def test_one_optimizer_for_all_can_be_had():
    assert tiny.build(three_lines(tiny.retinanet(), optimizer=False)).inner is None


def test_maps_that_take_no_part_are_told(logged):
    model = tiny.build(tiny.distiller(method='pkd', stages={}, input_shape=(128, 128)))
    assert list(model.layers) == ['p3', 'p4', 'p5', 'p6']
    assert 'Maps of one row or column in the dry run take no part: neck[4]: 1 x 1.' in ' '.join(
        map(str, logged)
    )


@pytest.mark.parametrize('method', ['kd', 'dpk'])
def test_the_choice_for_a_config_in_python_is_dumped(tmp_path, method):
    """Of one that holds classes in place of names: the file that is dumped builds the same."""
    data = tiny_cls.write_cifar(tmp_path / 'cifar')
    stages = dict(layer2=dict(at='backbone.layer2', loss=dict(type='FeatureMSELoss')))
    model = repr(tiny_cls.distiller(method=method, stages=stages))
    for name in ('DPKDistiller', 'CIFARResNet', 'ImageClassifier', 'FeatureMSELoss'):
        for written in (f"'{name}'", f"'dpk_mm.{name}'"):
            model = model.replace(f"'type': {written}", f"'type': {name}")
    path = tmp_path / 'lazy.py'
    path.write_text(
        'from mmpretrain.models import ImageClassifier\n'
        f'from dpk_mm.models import CIFARResNet, DPKDistiller, FeatureMSELoss\nmodel = {model}\n'
    )
    cfg = Config.fromfile(path)
    for key, value in tiny_cls.training_cfg({}, data, tmp_path / 'run').items():
        if key != 'model':
            cfg[key] = value
    runner = tiny.build_runner(cfg)
    dump_choice(runner)
    dumped = Config.fromfile(tmp_path / 'run/lazy.py')
    assert dumped.model.method is None and 'layer2' in dumped.model.stages
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        again = MODELS.build(dumped.model)
    assert again.layers == runner.model.layers
    assert list(again.state_dict()) == list(runner.model.state_dict())
