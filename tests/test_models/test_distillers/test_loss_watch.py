"""Warnings of stages that teach nothing, and the end of a training that has diverged."""

import math

import pytest
import tiny
import tiny_cls
import torch
from mmengine.logging import MessageHub

from dpk_mm.models.distillers.loss_watch import LossWatch
from dpk_mm.utils.errors import DivergedError


@pytest.mark.parametrize(
    'values, message',
    [
        ([0.0], 'is 0 in all, so it teaches nothing'),
        ([1.0, math.nan], 'is not finite in some'),
        ([1e-4], 'is 5.0e-05 of all losses: raise its loss_weight'),
        ([0.1], None),
    ],
)
def test_each_is_said_once(values, message, warnings_logged):
    hub = MessageHub.get_current_instance()
    model = dict(tiny_cls.distiller(method='fitnet', stages=None), loss_weight=1.0)
    stages = tiny.build(model).distiller
    watch = LossWatch()
    for step in range(1, 301):
        hub.update_info('iter', step)
        hub.update_scalar('train/loss', 2.0)
        hub.update_scalar('train/loss_distill_layer2', 1.0)
        hub.update_scalar('train/loss_distill_layer3', values[step % len(values)])
        watch(stages)
    said = [text for text in warnings_logged if text.startswith('Stage')]
    assert len(said) == (message is not None)
    assert message is None or said[0].startswith(f'Stage layer3: in the last 100 steps its loss {message}')


@pytest.mark.parametrize('settings', [tiny_cls.distiller(), tiny_cls.sftn()], ids=['distiller', 'sftn'])
def test_a_training_that_has_diverged_ends(settings):
    hub, model = MessageHub.get_current_instance(), tiny.build(settings)
    batch = tiny_cls.batch(model)
    for value in [1.0, *[math.nan] * 9, 1.0, *[math.inf] * 9]:
        hub.update_scalar('train/loss', value)
    model(**batch, mode='loss')  # single ones, as of mixed precision
    hub.update_scalar('train/loss', math.nan)
    with torch.no_grad():
        model(**batch, mode='loss')  # no step of a training
    with pytest.raises(DivergedError, match='diverged: its loss was not finite in the last 10 steps'):
        model(**batch, mode='loss')
