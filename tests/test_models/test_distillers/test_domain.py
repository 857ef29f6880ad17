"""A part stands only where it belongs, and a loss sees only what it can compare."""

import pytest
import tiny
import tiny_cls
import torch
from mmengine.model import BaseModule

from dpk_mm.registry import MODELS

MSE = dict(type='dpk_mm.FeatureMSELoss')
KD = dict(type='dpk_mm.LogitsKLLoss')
SIGMOIDS = {
    'one sigmoid a class': dict(type='CrossEntropyLoss', use_sigmoid=True),
    'multi-hot': dict(type='AsymmetricLoss'),
    'smooth': dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='multi_label'),
    'focal': dict(type='FocalLoss'),
}


@MODELS.register_module(force=True)
class Bare(BaseModule):
    """A backbone without a model around it."""

    def __init__(self, channels=3):
        super().__init__()
        self.layer1 = torch.nn.Conv2d(channels, 16, 4, 4)
        self.block = torch.nn.Sequential(self.layer1)

    def forward(self, inputs):
        return (self.block(inputs),)


def with_head(**head):
    model = tiny_cls.classifier()
    return dict(model, head=dict(model['head'], **head))


def headless():
    return {key: value for key, value in tiny_cls.classifier().items() if key != 'head'}


def pair(student=None, teacher=None, **more):
    teacher = dict(config=teacher or tiny_cls.classifier(), allow_incomplete=True)
    more = {'input_shape': (32, 32), **more}
    return dict(type='dpk_mm.Distiller', student=student or tiny_cls.classifier(), teacher=teacher, **more)


def stage(at='head.fc', **fields):
    return dict(stages=dict(a=dict(at=at, **fields)))


@pytest.mark.parametrize('kind', SIGMOIDS)
@pytest.mark.parametrize('side', ['student', 'teacher'])
def test_sigmoids_are_not_compared_as_softmaxes(kind, side):
    model = with_head(loss=SIGMOIDS[kind])
    text = f'stages.a.loss: LogitsKLLoss .* the {side} trains head.fc by {SIGMOIDS[kind]["type"]}, a sigmoid'
    with pytest.raises(ValueError, match=f'{text}.*Take dpk_mm.FeatureMSELoss'):
        tiny.build(pair(**{side: model}, **stage(loss=KD)))
    with pytest.raises(ValueError, match='kd does not fit: .* one softmax'):
        tiny.build(pair(**{side: model}, method='kd'))
    assert tiny.build(pair(**{side: model}, **stage(loss=MSE)))


def test_one_class_or_one_channel_says_nothing():
    model = with_head(num_classes=1)
    for name in ('LogitsKLLoss', 'DKDLoss', 'DISTLoss'):
        with pytest.raises(ValueError, match=f'stages.a.loss: dpk_mm.{name} needs 2 classes or channels'):
            tiny.build(pair(model, model, **stage(loss=dict(type=f'dpk_mm.{name}'))))
    from dpk_mm.models.distillers import DistillStage, GroupStage

    with pytest.raises(ValueError, match='loss: dpk_mm.FGDLoss needs 2'):
        DistillStage('a', (1, 1, 8, 8), (1, 1, 8, 8), dict(type='dpk_mm.FGDLoss'))
    with pytest.raises(ValueError, match='loss: dpk_mm.KRLoss needs 2'):
        GroupStage('a', [(1, 4, 8, 8)], [(1, 1, 8, 8)], dict(type='dpk_mm.KRLoss'))


@pytest.mark.parametrize(
    'fields, message',
    [
        (dict(loss=dict(type='dpk_mm.CKAPrior')), "a.loss.type: 'dpk_mm.CKAPrior' is no loss"),
        (dict(loss=dict(type='mmpretrain.CrossEntropyLoss')), 'a.loss.type: .* is no loss'),
        (dict(loss=dict(type='dpk_mm.PKDLos')), "a.loss.type: .* Is 'dpk_mm.PKDLoss' meant"),
        (dict(loss=MSE, neck=MSE), "a.neck.type: 'dpk_mm.FeatureMSELoss' is no neck: it must take"),
        (dict(loss=MSE, neck=dict(type='mmdet.FPN')), "a.neck.type: 'mmdet.FPN' is no neck"),
        (dict(loss=MSE, neck=tiny_cls.NECK, prior=MSE), 'a.prior.type: .* a prior subclasses BasePrior'),
        (dict(loss=MSE, neck=dict(tiny_cls.NECK, mask=MSE)), 'a.neck.mask.type: .* is no mask'),
        (dict(loss=MSE, neck=dict(tiny_cls.NECK, mask='dpk_mm.CKAPrior')), 'a.neck.mask.type: .* is no mask'),
        (dict(loss=dict(MSE, loss_wieght=1)), 'a.loss.loss_wieght: .* Is loss_weight meant'),
        (dict(loss=MSE, neck=dict(tiny_cls.NECK, decoder=3)), 'a.neck.decoder must be a dict of embed_dims'),
    ],
)
def test_each_part_stands_where_it_belongs(fields, message):
    with pytest.raises(ValueError, match=rf'^stages\.{message}'):
        tiny.build(pair(**stage('backbone.layer3', **fields)))


@pytest.mark.parametrize(
    'fields, message',
    [
        (dict(student=dict(tiny_cls.classifier(), bakbone=1)), '^student.bakbone: ImageClassifier has no'),
        (dict(teacher=with_head(typ=1)), '^teacher.config.head.typ: ClsHead has no such field'),
        (dict(student=with_head(type='LinearHead')), "^student.head.type: 'LinearHead' is not registered"),
        (
            dict(student=dict(tiny_cls.classifier(), backbone=dict(type='dpk_mm.CIFARResNet', depth='8'))),
            "^student.backbone.depth must be an integer, got '8'",
        ),
        (dict(student=headless()), '^student: a ImageClassifier without a head has no loss'),
        (dict(student=dict(type='dpk_mm.Bare')), '^student: a Bare without a head has no loss'),
        (
            dict(teacher=dict(type='dpk_mm.Bare', channels=1)),
            "^teacher: its images have 1 channels, the student's 3",
        ),
    ],
)
def test_mistakes_inside_of_a_model_are_found(fields, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(pair(**fields, method='fitnet'))


@pytest.mark.parametrize('teacher', [headless(), dict(type='dpk_mm.Bare')])
def test_a_teacher_needs_no_head(teacher):
    model = tiny.build(pair(teacher=teacher, method='fitnet')).train()
    values = model(**tiny_cls.batch(model), mode='loss')
    assert any(name.startswith('loss_distill_') for name in values)
    with pytest.raises(ValueError, match='kd does not fit'):
        tiny.build(pair(teacher=teacher, method='kd'))


@pytest.mark.parametrize('channels', [1, 4])
def test_images_of_other_channels(channels):
    model = dict(
        tiny_cls.classifier(),
        backbone=dict(type='ResNet', depth=18, in_channels=channels, base_channels=8, stem_channels=8),
        data_preprocessor=dict(mean=[0.0] * channels, std=[1.0] * channels),
    )
    model['head']['in_channels'] = 64
    model = tiny.build(pair(model, model, method='fitnet', input_shape=(64, 64))).train()
    batch = dict(tiny_cls.batch(tiny.build(tiny_cls.classifier()), 2, (64, 64)))
    batch['inputs'] = torch.rand(2, channels, 64, 64)
    assert model(**batch, mode='loss')


def test_a_detector_that_reads_texts_is_shown_one(monkeypatch):
    from mmdet.models import RetinaNet

    extract = RetinaNet.predict

    def predict(self, inputs, data_samples, **kwargs):
        assert all(sample.text for sample in data_samples)
        return extract(self, inputs, data_samples, **kwargs)

    monkeypatch.setattr(RetinaNet, 'predict', predict)
    assert tiny.build(tiny.distiller(input_shape=(64, 64)))


def test_whatever_a_model_raises_is_explained_and_no_size_advised_that_does_not_help(monkeypatch):
    def fails(self, inputs):
        raise AttributeError("no 'prompt'")

    monkeypatch.setattr(Bare, 'forward', fails)
    with pytest.raises(ValueError) as error:
        tiny.build(pair(teacher=dict(type='dpk_mm.Bare'), method='fitnet'))
    assert str(error.value) == (
        'teacher: Bare does not run on a blank image of (32, 32) with 3 channels. It says AttributeError: '
        "no 'prompt'."
    )


def test_a_head_of_another_width_is_told_at_build():
    model = tiny.retinanet()
    model.bbox_head.in_channels = 7
    with pytest.raises(ValueError, match='student: RetinaNet does not run on .* to have 7 channels'):
        tiny.build(tiny.distiller(student=model, input_shape=(64, 64)))
