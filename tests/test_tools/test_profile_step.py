"""What a step costs: that the right things are measured, in turns, and put together as they should be."""

import gc
import json

import pytest
import tiny
import tiny_cls
import torch
import torch.nn.functional as F
from mmengine.config import Config

from dpk_mm.profiling import cost, parts

FIXED = dict(type='dpk_mm.FixedPrior', ratio=0.5)  # so that every step does the same arithmetic
ALL_PARTS = [
    'prior',
    'mask, gather, stitch',
    'student stem and encoder',
    'teacher stem and encoder',
    'decoder and head',
    'loss',
]
APART = dict(
    constructor='dpk_mm.DistillOptimWrapperConstructor',
    distiller=dict(optimizer=dict(type='AdamW', lr=1e-3), clip_grad=dict(max_norm=1.0)),
)


def fixed(stages):
    return [dict(stage, prior=FIXED) if 'neck' in stage else stage for stage in stages]


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    """A detector's and a classifier's config; the data and checkpoints that they name do not exist."""
    folder = tmp_path_factory.mktemp('benchmark')
    detector, classifier = (
        tool.distiller(stages=fixed(tool.stages()), **more)
        for tool, more in ((tiny, dict(input_shape=(96, 80))), (tiny_cls, {}))
    )
    for tool, model in ((tiny, detector), (tiny_cls, classifier)):
        model['teacher'].update(checkpoint='/none/such.pth', allow_incomplete=False)
        more = dict(optim_wrapper=APART) if tool is tiny_cls else {}
        tool.training_cfg(model, '/none/such', folder, **more).dump(folder / f'{tool.__name__}.py')
    return folder


@pytest.fixture
def build(profile_step, configs):
    """What the tool runs, of one of the two configs."""

    def make(name, *flags):
        args = profile_step.parse_args([f'{configs}/{name}.py', *flags])
        profile_step.check_device(args)
        return profile_step.Bench(Config.fromfile(args.config), args)

    return make


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def result(profile_step, seconds, flops, stages=None):
    names = ('student', 'teacher', 'whole', "student's optimizer", 'all optimizers')
    settings = dict(config='x.py', batch_size=2, input_shape=(8, 6), device='CPU', threads=1, amp=False)
    settings.update(torch='2', rounds=3)
    stages = stages or {}
    extra = [f'{stage}: {part}' for stage, owned in stages.items() for part in owned]
    return profile_step.Result(
        settings, dict(zip([*names, *extra], seconds)), dict(zip([*names, *extra], flops)), stages
    )


@pytest.mark.parametrize('name', ['tiny', 'tiny_cls'])
def test_tables_and_json(profile_step, configs, tmp_path, capsys, name):
    config, out = f'{configs}/{name}.py', tmp_path / 'out'
    profile_step.main([config, '--rounds', '2', '--device', 'cpu', '--out', str(out)])
    text = (out / 'benchmark.md').read_text()
    assert text in capsys.readouterr().out
    rows = [line.split('|')[1].strip() for line in text.splitlines() if line.startswith('|')]
    expected = ["student's training step alone", "teacher's forward pass", 'floor: both', 'whole step']
    expected += [*ALL_PARTS, 'sum of these', 'optimizers, beyond the student', 'what is left']
    expected += ['student', 'teacher', 'modules of distillation', 'what training saves: student and modules']
    assert [row for row in rows if row in expected] == expected
    assert text.count('not measured') == 3  # peak memory, on a CPU

    found = json.loads((out / 'benchmark.json').read_text())
    detector = name == 'tiny'
    assert found['settings']['batch_size'] == (2 if detector else 6)
    assert found['settings']['input_shape'] == ([96, 80] if detector else [32, 32])
    stages = dict(neck_0=['loss'], neck_2=ALL_PARTS)
    if not detector:
        stages = dict(backbone_layer3=ALL_PARTS, backbone_layer2=ALL_PARTS, logits=['loss'])
    assert {stage: list(own) for stage, own in found['parts'].items()} == stages
    assert all(len(values) == 2 for values in found['seconds'].values())
    assert found['teacher_tokens'] == {stage: 0.5 for stage, own in stages.items() if 'prior' in own}
    own = {name: found['models'][name]['parameters'] for name in ('student', 'distiller', 'checkpoint')}
    assert own['checkpoint'] == own['student'] + own['distiller'] > own['student'] > 0
    assert found['ratio'] > 0 and found['arithmetic_ratio'] > 1

    # parts and floor are all arithmetic there is: nothing is left out and nothing is counted twice
    parts = sum(one['flops'] for stage in found['parts'].values() for one in stage.values())
    assert found['floor']['flops'] + parts == found['flops']['whole']
    none = [stage['mask, gather, stitch']['flops'] for stage in found['parts'].values() if 'prior' in stage]
    assert none and not any(none)


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


def test_tasks_take_turns(monkeypatch):
    seen, times = [], iter([0, 9, 10, 90, 100, 101, 200, 204, 300, 302, 400, 408])
    monkeypatch.setattr(cost, 'clock', lambda: next(times))

    def task(name):
        def prepare():
            seen.append(f'prepare {name}')
            return lambda: seen.append(name) or seen.append(gc.isenabled())

        return prepare

    rounds = []
    seconds = cost.take_turns({name: task(name) for name in 'ab'}, 2, 1, rounds.append)
    # the first round warms up; making things ready is not timed, and no garbage is collected meanwhile
    assert seconds == dict(a=[1, 2], b=[4, 8])
    assert seen == ['prepare a', 'a', False, 'prepare b', 'b', False] * 3
    assert rounds == [1, 2, 3] and gc.isenabled()


def test_the_step_is_measured_in_turns(build):
    bench = build('tiny_cls')
    assert list(bench.tasks())[:3] == ['student', 'teacher', 'whole']


def test_ratios(profile_step):
    seconds = [2.0, 3.0, 9.0], [1.0, 1.0, 5.0], [6.0, 8.0, 7.0], [0.1] * 3, [0.3] * 3, [0.5] * 3, [1.0] * 3
    found = result(profile_step, seconds, [30, 10, 60, 0, 0, 5, 15], dict(p4=['prior', 'loss']))
    assert found.floor == 3 + 1
    assert found.ratio == 7 / 4
    assert found.ratios == [6 / 3, 8 / 4, 7 / 14]
    assert found.arithmetic_ratio == 60 / 40
    assert found.over_arithmetic == pytest.approx(7 / 4 / 1.5)
    assert found.optimizer == pytest.approx(0.2)
    assert found.remainder == pytest.approx(7 - 4 - 1.5 - 0.2)
    text = found.to_markdown()
    assert '**1.750 x the floor** (rounds: 0.500 to 2.000); by arithmetic 1.500 x' in text
    assert 'ours / arithmetic **1.167**' in text
    assert '| whole step | 7000.00 | 1.750 | 0.000 | 1.500 | not measured |' in text
    assert '| sum of these | 1500.00 | 1500.00 | 21.4 % | 0.000 |' in text


def test_operators_are_told_by_their_share(profile_step):
    found = result(profile_step, [[1.0]] * 5, [1] * 5)
    assert 'operator' not in found.to_markdown()
    found.operators = {'aten::convolution': 50.0, 'aten::mm': 29.0, 'aten::gelu': 20.5, 'aten::add': 0.5}
    lines = found.to_markdown().splitlines()
    rows = [
        line.strip('| ').split(' | ') for line in lines[lines.index('| operator | of the whole step |') + 2 :]
    ]
    assert rows == [
        ['`aten::convolution`', '50.0 %'],
        ['`aten::mm`', '29.0 %'],
        ['`aten::gelu`', '20.5 %'],
        ['1 others', '0.5 %'],
        ['convolutions, matrix products, attention', '79.0 %'],
    ]


def test_a_profile_has_the_operators_of_the_whole_step(profile_step, configs, tmp_path):
    config, out = f'{configs}/tiny_cls.py', tmp_path / 'out'
    profile_step.main([config, '--rounds', '1', '--device', 'cpu', '--profile', '--out', str(out)])
    found = json.loads((out / 'benchmark.json').read_text())['operator_seconds']
    assert {'aten::mkldnn_convolution', 'aten::convolution_backward', 'aten::addmm'} <= set(found)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert '| operator | of the whole step |' in (out / 'benchmark.md').read_text()


@pytest.mark.parametrize('name', ['tiny', 'tiny_cls'])
def test_each_trains_what_is_its_own(build, name):
    bench = build(name)
    tasks, teacher = bench.tasks(), bench.model.teacher
    models = dict(model=bench.model, student=bench.student, teacher=teacher.model)
    assert not changed(bench.student, weights(bench.model.student))  # both begin alike

    def moved(work):
        before = {name: weights(model) for name, model in models.items()}
        work()
        return {name: changed(model, before[name]) for name, model in models.items()}

    found = moved(tasks['student']())
    assert found['student'] and not found['model'] and not found['teacher']
    found = moved(tasks['teacher']())
    assert not any(found.values())
    found = moved(tasks['whole']())
    assert any(key.startswith('distiller.') for key in found['model'])
    assert any(not key.startswith('distiller.') for key in found['model'])
    assert not found['student'] and not found['teacher']
    works = [work for stage in bench.parts().values() for work in stage.values()]
    before = {name: weights(model) for name, model in models.items()}
    for work in works:
        work()
    assert not any(changed(model, before[name]) for name, model in models.items())
    # nor is a gradient left that would be added to a step's
    assert all(parameter.grad is None for parameter in bench.model.parameters())
    tasks['all optimizers']()()
    assert all(parameter.grad is None for parameter in bench.model.parameters())


def test_the_student_alone_has_its_own_optimizer(build):
    bench = build('tiny_cls')
    assert list(bench.wrapper.keys()) == ['student', 'distiller']
    assert type(bench.student_wrapper.optimizer) is torch.optim.SGD
    assert bench.student_wrapper.clip_grad_kwargs == dict(max_norm=1.0)


def test_the_step_is_one_that_trains(build):
    """Each draws its own masks, images are raw, and the teacher's share changes with CKA."""
    from mmengine.logging import MessageHub

    bench = build('tiny')
    labels = torch.cat([sample.gt_instances.labels for sample in bench.batch['data_samples']])
    assert len(labels) == 2 * 7 and 0 <= labels.min() and labels.max() < len(tiny.CLASSES)
    assert all(image.dtype == torch.uint8 for image in bench.batch['inputs'])
    steps = []
    for _ in range(2):
        bench.tasks()['whole']()()
        steps.append(MessageHub.get_current_instance().get_info('iter'))
    assert steps == [1, 2]
    draws = []
    for name in ('student', 'whole'):
        bench.tasks()[name]()
        draws.append(torch.rand(()))
    assert draws[0] == draws[1]  # regions that are sampled, dropout
    assert 'batch_input_shape' not in bench.batch['data_samples'][0]  # what is run is a copy


def test_a_neck_without_its_modules_does_all_else():
    neck = tiny.build(dict(tiny_cls.NECK, student_channels=4, teacher_channels=6, patch_size=2))
    feats = torch.rand(2, 4, 7, 6, requires_grad=True), torch.rand(2, 6, 7, 6)
    outputs = []
    calls = parts._record([neck, *neck.children()], lambda: outputs.append(neck(*feats, 0.5)))
    bare = parts._without_modules(neck, calls)
    # the head's stand-in gives the tokens of before, which only folding follows
    assert torch.equal(bare(*feats, 0.5), outputs[0])
    assert cost.count_flops(lambda: bare(*feats, 0.5).sum().backward()) == 0
    assert not feats[0].grad.any()
    # as in the neck, whose stem has weights to train, gradients come back to the teacher's tokens too
    assert bare.teacher_stem(feats[1]).requires_grad
    assert neck(*feats, 0.5).requires_grad and type(neck.decoder) is not parts._StandIn


def test_parts_run_in_mixed_precision(build):
    bench = build('tiny_cls')

    def context():
        return torch.autocast('cpu', torch.bfloat16)

    def step():
        with context():
            bench.tasks()['whole']()()

    flops = []
    for found in (bench.parts(), parts.find_parts(bench.model, step, context)):
        flops.append(
            {(stage, part): cost.count_flops(w) for stage, own in found.items() for part, w in own.items()}
        )
    assert flops[0] == flops[1] and len(flops[0]) == 13


def test_shared_memory_counts_once():
    whole = torch.zeros(10)
    assert cost.storage_bytes([whole, whole[:5], torch.zeros(2, dtype=torch.float64)]) == 40 + 16
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.rand(1, 3)).sum().backward()
    optimizer.step()
    steps = 2 * 4  # AdamW counts them in a tensor a parameter
    assert cost.tensors_in(layer, optimizers=[optimizer]) == 3 * 4 * 8 + steps


@pytest.mark.parametrize(
    'flags, problem',
    [
        (['--cfg-options', 'optim_wrapper=None'], 'the config has no optim_wrapper'),
        (['--cfg-options', 'train_dataloader=None'], 'train_dataloader.batch_size; give --batch-size'),
        (['--cfg-options', 'model.teacher=1'], 'model.teacher must be a dict with a config, got 1'),
        (['--cfg-options', 'model.stages.0.at=nowhere'], "stages[0].at='nowhere'"),
        (['--amp', '--device', 'cpu'], '--amp needs a GPU'),
        (['--device', 'toaster'], '--device toaster'),
        (['--device', 'mps'], '--device must be cpu or cuda, got mps'),
        (['--device', 'cuda:99'], '--device cuda:99: torch finds no such GPU'),
    ],
)
def test_a_mistake_is_one_line(profile_step, configs, tmp_path, flags, problem):
    with pytest.raises(SystemExit) as error:
        profile_step.main([f'{configs}/tiny_cls.py', '--out', str(tmp_path), *flags])
    assert problem in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize(
    'model, got',
    [
        (tiny_cls.classifier(), 'got a ImageClassifier'),
        (dict(type='dpk_mm.SFTN', student={}, teacher={}), 'got a SFTN'),
        (None, 'got none'),
    ],
)
def test_a_config_without_distiller_is_refused(profile_step, tmp_path, model, got):
    tiny_cls.training_cfg(model, '/none/such', tmp_path).dump(tmp_path / 'plain.py')
    with pytest.raises(SystemExit) as error:
        profile_step.main([str(tmp_path / 'plain.py'), '--out', str(tmp_path)])
    message = str(error.value)
    assert f'model must be a distiller such as dpk_mm.DPKDistiller, {got}' in message and '\n' not in message


def test_a_batch_size_and_a_size_of_ones_own(build):
    bench = build('tiny_cls', '--batch-size', '3', '--input-shape', '16', '24', '--threads', '1')
    assert bench.batch['inputs'].shape == (3, 3, 16, 24)
    assert len(bench.batch['data_samples']) == 3
