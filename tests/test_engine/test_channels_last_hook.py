"""ChannelsLastHook: another order of memory, the same training."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import tiny
import tiny_cls
import torch
from torch import nn

from dpk_mm.engine import ChannelsLastHook
from dpk_mm.engine.hooks.channels_last_hook import unsafe_layers

HOOK = [dict(type='dpk_mm.ChannelsLastHook')]


def is_channels_last(model):
    weight = next(p for p in model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1)
    return weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def train(folder, width, hooks):
    data = tiny_cls.write_cifar(folder / f'cifar{len(hooks)}')
    model = tiny_cls.distiller(tiny_cls.classifier(width=width))
    cfg = tiny_cls.training_cfg(model, data, folder / f'run{len(hooks)}', epochs=1, custom_hooks=hooks)
    return tiny.train(cfg)


def test_student_and_teacher_are_converted(tmp_path):
    plain, converted = (train(tmp_path, 8, hooks).model for hooks in ([], HOOK))
    assert not is_channels_last(plain.student) and not is_channels_last(plain.teacher)
    assert is_channels_last(converted.student) and is_channels_last(converted.teacher)
    for a, b in zip(plain.parameters(), converted.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_a_model_that_may_crash_a_processor_is_left_alone(tmp_path):
    runner = train(tmp_path, 4, HOOK)
    assert unsafe_layers(runner.model) == ['student.backbone.layer2.0.downsample.0']
    assert not is_channels_last(runner.model.student) and is_channels_last(runner.model.teacher)
    log = next((tmp_path / 'run1').glob('*/*.log')).read_text()
    assert log.count('ChannelsLastHook leaves the model as it is') == 1
    assert 'student.backbone.layer2.0.downsample.0 is one' in log


@pytest.mark.parametrize(
    'layer, is_unsafe',
    [
        (dict(in_channels=4, kernel_size=1, stride=2), True),
        (dict(in_channels=7, kernel_size=1, stride=(1, 2)), True),
        (dict(in_channels=1, kernel_size=1, stride=2), False),
        (dict(in_channels=8, kernel_size=1, stride=2), False),
        (dict(in_channels=4, kernel_size=1), False),
        (dict(in_channels=4, kernel_size=3, stride=2), False),
        (dict(in_channels=4, kernel_size=1, stride=2, groups=4), False),
        (dict(in_channels=4, kernel_size=1, stride=2, device='meta'), False),
    ],
)
def test_which_layers_may_crash(layer, is_unsafe):
    assert unsafe_layers(nn.Sequential(nn.Conv2d(out_channels=8, **layer))) == ['0'] * is_unsafe


@pytest.mark.slow
@pytest.mark.parametrize('isa', ['AVX2', 'SSE41'])
def test_training_survives_older_processors(isa):
    """oneDNN reads its instruction set once a process, so a process of its own trains."""
    test = f'{__file__}::test_a_model_that_may_crash_a_processor_is_left_alone'
    env = dict(os.environ, ONEDNN_MAX_CPU_ISA=isa, DNNL_MAX_CPU_ISA=isa)
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', test]
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_teacher_that_trains_is_no_frozen_one():
    """Of SFTN the teacher is the main model, whose layers count as all others do."""
    model = nn.Module()
    model.teacher = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 1, stride=2))
    ChannelsLastHook().before_train(SimpleNamespace(model=model))
    assert not is_channels_last(model.teacher)
