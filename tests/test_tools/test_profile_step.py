"""What a step costs: that the right things are measured, and put together as they should be."""

import json
import time
from types import SimpleNamespace

import pytest
import tiny
import tiny_cls
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch.profiler import record_function

from dpk_mm.profiling import cost, parts, report
from dpk_mm.profiling.step import StepSetup

CPU = torch.device('cpu')
APART = dict(
    constructor='dpk_mm.DistillOptimWrapperConstructor',
    distiller=dict(optimizer=dict(type='AdamW', lr=1e-3), clip_grad=dict(max_norm=1.0)),
)


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    """A detector's and a classifier's config; the data and checkpoints that they name do not exist."""
    folder = tmp_path_factory.mktemp('profile')
    models = dict(
        tiny=tiny.distiller(input_shape=(96, 80)),
        tiny_cls=tiny_cls.distiller(),
        logits=tiny_cls.distiller(stages=dict(logits=tiny_cls.logits())),
    )
    for name, model in models.items():
        model['teacher'].update(checkpoint='/none/such.pth', allow_incomplete=False)
        tool, more = (tiny, {}) if name == 'tiny' else (tiny_cls, dict(optim_wrapper=APART))
        tool.training_cfg(model, '/none/such', folder, **more).dump(folder / f'{name}.py')
    return folder


def setup(configs, name, **settings):
    return StepSetup(Config.fromfile(configs / f'{name}.py'), CPU, **settings)


def run(profile_step, configs, tmp_path, name, *flags):
    profile_step.main(
        [f'{configs}/{name}.py', '--rounds', '1', '--device', 'cpu', '--out', str(tmp_path), *flags]
    )
    return json.loads((tmp_path / 'profile.json').read_text())


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def test_a_detector(profile_step, configs, tmp_path, capsys):
    found = run(profile_step, configs, tmp_path, 'tiny')
    assert (tmp_path / 'profile.md').read_text() in capsys.readouterr().out
    assert 'convolution' in (tmp_path / 'operators.txt').read_text()
    # a batch is padded to multiples of 32
    assert found['settings']['batch_size'] == 2 and found['settings']['input_shape'] == [96, 96]
    own = {'loss/neck_0', 'adapter/neck_0', 'prior/neck_2', 'neck/neck_2', 'loss/neck_2'}
    assert set(found['part_seconds']) == {'teacher', 'student', 'optimizer', 'other'} | own
    assert found['peak_memory_bytes'] == {} and found['flops_ratio'] > 1
    assert set(found['teacher_tokens']) == {'neck_2'} and 0 < found['teacher_tokens']['neck_2'] < 1


def test_a_classifier_of_a_size_of_ones_own(profile_step, configs, tmp_path):
    flags = '--batch-size', '3', '--input-shape', '16', '24', '--threads', '2'
    found = run(profile_step, configs, tmp_path, 'tiny_cls', *flags)
    assert found['settings']['batch_size'] == 3 and found['settings']['input_shape'] == [16, 24]
    assert {name for name in found['part_seconds'] if name.startswith('neck/')} == {
        'neck/backbone_layer3',
        'neck/backbone_layer2',
    }
    larger = setup(configs, 'tiny_cls', batch_size=3, input_shape=(32, 24)).tasks()
    assert cost.count_flops(larger['teacher']()) > 1.5 * found['flops']['teacher']


def test_logits_cost_no_arithmetic(profile_step, configs, tmp_path):
    found = run(profile_step, configs, tmp_path, 'logits')
    assert found['flops_ratio'] == 1 and found['flops']['step'] == found['flops']['floor'] > 0


def test_a_compiled_teacher_is_measured_as_such(profile_step, configs, tmp_path):
    from torch._dynamo.utils import counters

    flags = '--cfg-options', 'model.teacher.compile.backend=eager'
    counters.clear()
    found = run(profile_step, configs, tmp_path, 'logits', *flags)
    assert counters['stats']['unique_graphs'] > 0
    # what is compiled is counted as if it ran without
    assert found['flops_ratio'] == 1 and found['flops']['teacher'] > 0


def test_flops_by_hand():
    x, weight = torch.rand(7, 3, requires_grad=True), torch.rand(3, 5, requires_grad=True)
    assert cost.count_flops(lambda: x @ weight) == 2 * 7 * 3 * 5
    assert cost.count_flops(lambda: (x @ weight).sum().backward()) == 3 * 2 * 7 * 3 * 5
    assert cost.count_flops(lambda: x * x) == 0
    image, kernel = torch.rand(2, 3, 8, 6), torch.rand(5, 3, 3, 3, requires_grad=True)
    conv = 2 * (2 * 8 * 6) * 5 * (3 * 3 * 3)
    assert cost.count_flops(lambda: F.conv2d(image, kernel, padding=1)) == conv
    # of an image no gradient is wanted
    assert cost.count_flops(lambda: F.conv2d(image, kernel, padding=1).sum().backward()) == 2 * conv


def test_attention_is_counted_on_a_cpu():
    q, k, v = torch.rand(3, 2, 4, 9, 8, requires_grad=True)  # 2 images, 4 heads, 9 tokens, width 8
    product = 2 * (2 * 4) * 9 * 9 * 8
    with torch.no_grad():
        assert cost.count_flops(lambda: F.scaled_dot_product_attention(q, k, v)) == 2 * product
    both = cost.count_flops(lambda: F.scaled_dot_product_attention(q, k, v).sum().backward())
    # fused attention computes its scores again for the backward pass
    assert both in (6 * product, 7 * product)


def test_tasks_take_turns_and_getting_ready_is_not_timed():
    now, seen = [0], []

    def task(name, seconds):
        def work():
            now[0] += seconds
            seen.append(name)

        def prepare():
            now[0] += 100
            return work

        return prepare

    found = cost.take_turns(dict(a=task('a', 3), b=task('b', 5)), rounds=2, timer=lambda: now[0])
    assert found == dict(a=[3, 3], b=[5, 5])
    turns = [name for i, name in enumerate(seen) if i == 0 or name != seen[i - 1]]
    assert turns == ['a', 'b', 'a', 'b']


class Slow(torch.autograd.Function):
    """Takes a tenth of a second forward, and two backward."""

    @staticmethod
    def forward(ctx, x):
        time.sleep(0.1)
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        time.sleep(0.2)
        return grad * 2


def test_a_part_gets_its_forward_and_its_backward():
    layer = torch.nn.Linear(3, 3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)

    def work():
        with record_function('dpk_mm::student'):
            x = layer(torch.rand(2, 3))
        with torch.no_grad(), record_function('dpk_mm::teacher'):
            layer(torch.rand(2, 3))
        with record_function('dpk_mm::neck/p4'):
            x = Slow.apply(x)
        with record_function('dpk_mm::loss/p4'):
            loss = x.square().sum()
        loss.backward()
        optimizer.step()

    def prepare():
        torch.rand(2).sum()  # is no part of the step
        return work

    events = parts.profile_step(prepare, 1, CPU).events()
    found = parts.time_parts(events, CPU)
    assert set(found) == {'student', 'teacher', 'neck/p4', 'loss/p4', 'optimizer', 'other'}
    assert found['neck/p4'] > 0.3
    (step,) = [event for event in events if event.name == 'dpk_mm::other']
    assert sum(found.values()) == pytest.approx(step.cpu_time_total / 1e6, rel=1e-3)


def event(name, parent=None, sequence=-1, forward_thread=0, kernels=(), device='CPU'):
    """An event as torch's profiler gives it, as far as it is read."""
    kernels = [SimpleNamespace(name=kernel, duration=duration) for kernel, duration in kernels]
    device = getattr(torch.autograd.DeviceType, device)
    return SimpleNamespace(
        name=name,
        cpu_parent=parent,
        sequence_nr=sequence,
        fwd_thread=forward_thread,
        kernels=kernels,
        device_type=device,
    )


def test_on_a_gpu_the_time_of_kernels_counts():
    step = event('dpk_mm::other', kernels=[('dpk_mm::other', 900.0)])  # a part is no kernel
    neck = event('dpk_mm::neck/p4', step, kernels=[('dpk_mm::neck/p4', 90.0)])
    product = event('aten::mm', neck, sequence=4, kernels=[('gemm', 3e6)])
    total = event('aten::add', step, sequence=5, kernels=[('add', 1e6)])
    # backward runs in a thread of its own
    backward = [
        event('autograd::engine::evaluate_function: MmBackward0', None, 4, 1),
        event('autograd::engine::evaluate_function: AccumulateGrad', None, -1, 1, [('add', 2e6)]),
    ]
    backward.insert(1, event('aten::mm', backward[0], kernels=[('gemm', 5e6)]))
    kernel = event('gemm', device='CUDA')
    found = parts.time_parts([step, neck, product, total, *backward, kernel], torch.device('cuda'))
    assert found == {'other': 3.0, 'neck/p4': 8.0}


def test_figures_together():
    seconds = dict(student=[2.0, 3.0, 9.0], teacher=[1.0, 1.0, 5.0], step=[6.0, 8.0, 7.0])
    settings = dict(config='x.py', batch_size=2, input_shape=(8, 6), device='CPU', threads=1, amp=False)
    settings.update(torch='2', rounds=3)
    found = report.summarize(
        settings,
        seconds,
        dict(student=30, teacher=10, step=60),
        part_seconds={'other': 1.0, 'neck/p4': 2.0, 'neck/p5': 0.5, 'loss/p4': 0.5},
        peak_memory_bytes=dict(student=1e6, teacher=2e6, step=4e6),
        parameters=dict(student=1000),
        teacher_tokens=dict(p4=0.25),
    )
    assert found['ratio'] == 7 / (3 + 1) and found['ratio_of_rounds'] == [6 / 3, 8 / 4, 7 / 14]
    assert found['flops_ratio'] == 60 / 40 and found['ratio_over_flops_ratio'] == pytest.approx(7 / 6)
    text = report.to_markdown(found)
    for line in (
        '**1.750 x the floor** (rounds: 0.500 to 2.000); by FLOPs 1.500 x; time / FLOPs **1.167**.',
        '| whole step | 7000.00 | 1.750 | 0.000 | 1.500 | 4 MB |',
        '| part of the step | p4 | p5 | all | ms |',
        '| neck | 50.0% | 12.5% | 62.5% | 4375.00 |',
        '| loss | 12.5% | - | 12.5% | 875.00 |',
        '| other | - | - | 25.0% | 1750.00 |',
        '| sum | - | - | 100.0% | 7000.00 |',
        'The profiler saw 4000.00 ms a step. Weights: student 1.0 k. Share of teacher tokens: p4 0.25.',
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize('name', ['tiny', 'tiny_cls'])
def test_each_trains_what_is_its_own(configs, name):
    found = setup(configs, name)
    tasks = found.tasks()
    models = dict(model=found.model, student=found.student, teacher=found.model.teacher.model)
    assert not changed(found.student, weights(found.model.student))  # both begin alike

    def moved(task):
        before = {name: weights(model) for name, model in models.items()}
        tasks[task]()()
        return {name: changed(model, before[name]) for name, model in models.items()}

    moves = moved('student')
    assert moves['student'] and not moves['model'] and not moves['teacher']
    assert not any(moved('teacher').values())
    moves = moved('step')
    assert any(key.startswith('distiller.') for key in moves['model'])
    assert any(not key.startswith('distiller.') for key in moves['model'])
    assert not moves['student'] and not moves['teacher']


def test_the_student_alone_has_its_own_optimizer(configs):
    found = setup(configs, 'tiny_cls')
    assert list(found.wrapper.keys()) == ['student', 'distiller']
    assert type(found.student_wrapper.optimizer) is torch.optim.SGD


def test_the_step_is_one_that_trains(configs):
    """Labels are the student's, images are raw, and each step begins with the same draws."""
    found = setup(configs, 'tiny')
    labels = torch.cat([sample.gt_instances.labels for sample in found.batch['data_samples']])
    assert len(labels) == 2 * 7 and 0 <= labels.min() and labels.max() < len(tiny.CLASSES)
    assert all(image.dtype == torch.uint8 for image in found.batch['inputs'])
    draws = []
    for name in ('student', 'step'):
        work = found.tasks()[name]()
        draws.append(torch.rand(()))
        work()
    assert draws[0] == draws[1]  # regions that are sampled, dropout
    assert 'batch_input_shape' not in found.batch['data_samples'][0]  # what is run is a copy


def test_channels_last_is_heeded(configs):
    cfg = Config.fromfile(configs / 'logits.py')
    cfg.custom_hooks = [dict(type='dpk_mm.ChannelsLastHook')]
    cfg.model.student = tiny_cls.classifier(width=8)  # the hook leaves narrower ones alone
    found = StepSetup(cfg, CPU)
    for model in (found.student, found.model, found.model.teacher):
        weight = next(p for p in model.parameters() if p.dim() == 4 and p.shape[1] > 1)
        assert weight.is_contiguous(memory_format=torch.channels_last)


def test_shared_memory_counts_once():
    whole = torch.zeros(10)
    assert cost.storage_bytes([whole, whole[:5], torch.zeros(2, dtype=torch.float64)]) == 40 + 16


@pytest.mark.parametrize(
    'flags, problem',
    [
        (['--cfg-options', 'optim_wrapper=None'], 'the config has no optim_wrapper'),
        (['--cfg-options', 'train_dataloader=None'], 'train_dataloader.batch_size; give --batch-size'),
        (['--cfg-options', 'model.teacher=1'], "model.teacher must be 'CONFIG:CHECKPOINT'"),
        (['--cfg-options', 'model.stages.logits.at=nowhere'], "at='nowhere'"),
        (['--amp'], '--amp needs a GPU'),
        (['--cfg-options', 'model=None'], 'model must be a distiller such as dpk_mm.Distiller, got none'),
    ],
)
def test_a_mistake_is_one_line(profile_step, configs, tmp_path, flags, problem):
    with pytest.raises(SystemExit) as error:
        run(profile_step, configs, tmp_path, 'logits', *flags)
    assert problem in str(error.value) and '\n' not in str(error.value)


def test_a_config_without_distiller_is_refused(profile_step, configs, tmp_path):
    tiny_cls.training_cfg(tiny_cls.classifier(), '/none/such', tmp_path).dump(tmp_path / 'plain.py')
    with pytest.raises(SystemExit) as error:
        run(profile_step, tmp_path, tmp_path, 'plain')
    assert 'must be a distiller such as dpk_mm.Distiller, got a ImageClassifier' in str(error.value)
