"""A step on a GPU that need not be there: fake tensors have shapes and devices, and no values.

So what mixes devices is an error, as is whatever wants to see a number; what is made on the host is seen.
Backward passes need a real GPU.
"""

import sys
from contextlib import contextmanager

import pytest
import tiny
import tiny_cls
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dpk_mm.models import losses
from dpk_mm.models.priors import measured_prior
from dpk_mm.utils import record


class HostWatch(TorchDispatchMode):
    """Keep the names of operations that meet a tensor on the host."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        devices = {x.device.type for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)}
        if 'cpu' in devices:
            self.seen.append(str(function))
        return result


@pytest.fixture
def waits(monkeypatch):
    """What is brought to the host, which here gets made-up numbers; and no generators on the device."""
    waits = []

    def to_host(values, is_shared):
        waits.append([value.device.type for value in values])
        return [[0.1, 1.0, 1.0]] * len(values)

    monkeypatch.setattr(measured_prior, '_to_host', to_host)
    for name, module in list(sys.modules.items()):
        if name.startswith('dpk_mm.') and hasattr(module, 'step_generator'):
            monkeypatch.setattr(module, 'step_generator', lambda *args: None)
    return waits


@contextmanager
def on_gpu(model, data):
    """The model and a batch on a GPU; the teacher follows when it first runs."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to('cuda')
        samples = [sample.to('cuda') for sample in data['data_samples']]
        yield dict(inputs=data['inputs'].to('cuda'), data_samples=samples)


def assert_only_ratios_are_made(watch, num):
    """The log's numbers, and nothing else, are tensors on the host."""
    assert watch.seen == ['aten.lift_fresh.default'] * num


PRIORS = {
    'positions': dict(type='dpk_mm.CKAPrior', samples='positions'),
    'images': dict(type='dpk_mm.CKAPrior', samples='images'),
    'sigmoid': dict(type='dpk_mm.SigmoidCKAPrior', samples='positions'),
    'fixed': dict(type='dpk_mm.FixedPrior', ratio=0.5),
}
NECKS = {
    'random': tiny.NECK,
    'activity': dict(tiny.NECK, mask='dpk_mm.TeacherActivityMask'),
    'residual': dict(type='dpk_mm.FeatureMixingNeck', preset='lean', residual=True),
}
# every prior with one neck, every neck with one prior
PAIRS = [*(('random', prior) for prior in PRIORS), ('activity', 'positions'), ('residual', 'fixed')]


@pytest.mark.slow
@pytest.mark.parametrize('neck, prior', PAIRS)
def test_a_detectors_distillation(waits, neck, prior):
    stages = tiny.stages((0, 1, 2))
    for name in ('neck_1', 'neck_2'):
        stages[name].update(neck=NECKS[neck], prior=PRIORS[prior])
    model = tiny.build(tiny.distiller(stages=stages)).train()
    with on_gpu(model, tiny.batch(model)) as data:
        for _ in range(2):
            # the first time the teacher moves
            with HostWatch() as watch:
                teacher = model.teacher(data['inputs'], model.teacher_taps, data['data_samples'])
                with record(model.student, model.student_taps) as student:
                    model.student.extract_feat(data['inputs'])
                values = model.distill(student, teacher, data['data_samples'])
    assert {value.device.type for name, value in values.items() if 'loss' in name} == {'cuda'}
    assert_only_ratios_are_made(watch, 2)
    # one transfer a step, of both stages' numbers
    assert waits == [[] if prior == 'fixed' else ['cuda', 'cuda']] * 2


def test_a_classifiers_whole_step(waits):
    model = tiny.build(tiny_cls.distiller()).train()
    with on_gpu(model, tiny_cls.batch(model)) as data:
        for _ in range(2):
            with HostWatch() as watch:
                values = model(**data, mode='loss')
                loss = sum(value for name, value in values.items() if 'loss' in name)
    assert loss.device.type == 'cuda'
    assert_only_ratios_are_made(watch, 2)
    assert waits == [['cuda', 'cuda']] * 2


# what has no default
SETTINGS = {
    'DKDLoss': dict(warmup_epochs=2),
    'FGDLoss': dict(tiny.FGD, channels=8),
    'KRLoss': dict(student_channels=[8, 8], teacher_channels=[8, 8]),
    'MGDLoss': dict(channels=8),
    'ScoreWeightedMSELoss': dict(student_channels=[8], teacher_channels=[8, 8]),
}
# CrossKD runs a teacher's head, which needs a detector
GENERIC = [name for name in losses.__all__ if name not in ('DistillLoss', 'CrossKDLoss')]


@pytest.mark.parametrize('name', GENERIC)
def test_every_loss(waits, name):
    loss = tiny.build(dict(SETTINGS.get(name, {}), type=f'dpk_mm.{name}'))
    if name == 'FGDLoss':
        model = tiny.build(tiny.retinanet())
        data = tiny.batch(model)
    else:
        model = tiny.build(tiny_cls.classifier())
        data = tiny_cls.batch(model, num=2)
    student, teacher = torch.randn(2, 2, *((100,) if loss.takes == 'logits' else (8, 12, 10)))
    with on_gpu(loss, data) as data:
        student, teacher = student.to('cuda'), teacher.to('cuda')
        feats = (student, teacher)
        if loss.takes == 'groups':
            feats = tuple(
                (one,) * len(SETTINGS[name][f'{side}_channels'])
                for side, one in zip(('student', 'teacher'), feats)
            )
        with HostWatch() as watch:
            value = loss(*feats, data['data_samples'])
    assert value.device.type == 'cuda' and value.shape == ()
    assert watch.seen == []
