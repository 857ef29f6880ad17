"""Layers whose axes are not those of maps or logits are read as maps, or refused before the first step."""

import copy
import sys

import pytest
import shrink
import tiny
import tiny_cls
import torch
from mmengine.hub import get_config
from mmengine.model import BaseModule

from dpk_mm.registry import MODELS
from dpk_mm.utils import outputs

MSE = dict(type='dpk_mm.FeatureMSELoss')


@MODELS.register_module(force=True)
class ChannelsLast(BaseModule):
    """Maps (B, H, W, C), as timm's Swin gives them."""

    def __init__(self, fixed=False):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 16, 4, 4)
        self.fixed = fixed

    def forward(self, inputs):
        assert not self.fixed or inputs.shape[-2:] == (32, 32)
        return (self.stem(inputs).permute(0, 2, 3, 1),)


@MODELS.register_module(force=True)
class ToChannelsFirst(BaseModule):
    def forward(self, feats):
        return tuple(feat.permute(0, 3, 1, 2).mean((2, 3)) for feat in feats)


@MODELS.register_module(force=True)
class HalfInTraining(BaseModule):
    """Shows a part of the batch to a layer in training: its rows, its channels, or without gradient."""

    def __init__(self, what):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 16, 4, 4)
        self.layer = torch.nn.Identity()
        self.what = what

    def forward(self, inputs):
        feat = self.stem(inputs)
        seen = feat
        if self.training:
            seen = dict(rows=feat[:3], channels=feat[:, :8], gradient=feat.detach())[self.what]
        self.layer(seen)
        return (feat,)


def pair(student, teacher=None, **more):
    teacher = dict(config=teacher or copy.deepcopy(student), allow_incomplete=True)
    more = {'stages': dict(a=dict(at='backbone[0]', loss=MSE)), 'input_shape': (32, 32), **more}
    return dict(type='dpk_mm.Distiller', student=student, teacher=teacher, **more)


def step(cfg):
    """One step of a distiller, which reaches all that it trains."""
    model = tiny.build(cfg)
    model.init_weights()
    model.train()
    losses = model(**tiny_cls.batch(model), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    return model


def channels_last(**backbone):
    model = dict(tiny_cls.classifier(), backbone=dict(type='dpk_mm.ChannelsLast', **backbone))
    return dict(model, neck=dict(type='dpk_mm.ToChannelsFirst'))


@pytest.mark.parametrize('fixed', [False, True])
def test_channels_last_name_what_makes_a_map_of_them(fixed):
    message = r'student_at: .backbone\[0\].* channels last, \(1, 8, 8, 16\) for one .* with \[channels_last\]'
    with pytest.raises(ValueError, match=message):
        tiny.build(pair(channels_last(fixed=fixed)))
    with pytest.raises(ValueError, match=r'stages\.a\.teacher_at: .*channels last'):  # on one side
        tiny.build(pair(tiny_cls.classifier(), channels_last()))


@pytest.mark.parametrize('fixed', [False, True])
@pytest.mark.parametrize(
    'more', [dict(method='at'), dict(stages=dict(a=dict(at='backbone[0][channels_last]', loss=MSE)))]
)
def test_channels_last_teach_and_learn(fixed, more):
    last, first = channels_last(fixed=fixed), tiny_cls.classifier()
    for student, teacher in [(last, last), (first, last), (last, first)]:
        model = dict(pair(student, copy.deepcopy(teacher)), **more)
        if 'method' in more:
            del model['stages']
        elif teacher is first or student is first:
            side = 'teacher_at' if teacher is first else 'student_at'
            model['stages'] = dict(a=dict(more['stages']['a'], **{side: 'backbone[0]'}))
        step(model)


@pytest.mark.slow
def test_the_class_layer_of_a_detr_is_no_map():
    model = shrink.detector(copy.deepcopy(get_config('mmdet::detr/detr_r50_8xb2-150e_coco.py').model))
    model._scope_ = 'mmdet'
    stages = dict(a=dict(at='bbox_head.fc_cls', loss=MSE))
    with pytest.raises(ValueError, match=r'stages.a.student_at.*fc_cls.* does not give one row an image'):
        tiny.build(pair(model, stages=stages, input_shape=(64, 64)))


@pytest.mark.parametrize(
    'what, message',
    [
        ('rows', r'stages.a: backbone.layer gave \(3, 16, 8, 8\) for a batch of 6 images'),
        ('channels', r'stages.a: backbone.layer gave \(6, 8, 8, 8\) for a batch of 6 images'),
        ('gradient', 'stages.a: no gradient goes from backbone.layer'),
    ],
)
def test_a_layer_that_does_otherwise_in_training_stops_the_first_step(what, message):
    model = dict(tiny_cls.classifier(), backbone=dict(type='dpk_mm.HalfInTraining', what=what))
    model = tiny.build(pair(model, stages=dict(a=dict(at='backbone.layer', loss=MSE)))).train()
    with pytest.raises(ValueError, match=message):
        model(**tiny_cls.batch(model), mode='loss')


def test_the_labelled_half_of_a_task_is_not_compared_with_the_whole_batch():
    from mmpretrain.structures import DataSample, MultiTaskDataSample

    head = dict(type='LinearClsHead', num_classes=5)
    head = dict(type='MultiTaskHead', task_heads=dict(a=head, b=dict(head)), in_channels=16)
    student = dict(tiny_cls.classifier(), head=head, data_preprocessor=None)
    stages = dict(a=dict(at='head.task_heads.a.fc', loss=MSE))
    model = tiny.build(pair(student, stages=stages)).train()
    samples = []
    for i in range(6):
        sample = MultiTaskDataSample()
        for task in 'ab' if i % 2 else 'b':
            sample.set_field(DataSample().set_gt_label(i % 5), task)
        samples.append(sample)
    with pytest.raises(ValueError, match=r'head.task_heads.a.fc gave \(3, 5\) for a batch of 6 images'):
        model(torch.rand(6, 3, 32, 32), samples, mode='loss')


def test_a_method_shows_each_model_two_images_of_two_sizes_and_no_more(monkeypatch):
    shown, run = [], outputs.run_blank

    def count(model, size, images=1):
        shown.append((size, images))
        run(model, size, images)

    for module in ('outputs', 'probe'):
        monkeypatch.setattr(sys.modules[f'dpk_mm.utils.{module}'], 'run_blank', count)
    model = dict(tiny_cls.distiller(), method='dpk')
    del model['stages']
    tiny.build(model)
    assert shown == 2 * [((32, 32), 1), ((16, 24), 2)]
