"""On a real GPU: what a CPU, or tensors without values, cannot show.

``DPK_MM_TEST_DEVICE=cpu`` runs on the CPU what makes sense there, to try the tests themselves.
"""

import copy
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import tiny
import tiny_cls
import torch
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.runner.checkpoint import get_state_dict

# cuBLAS reads it when it begins; without it its sums are in any order
os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
DEVICE = os.environ.get('DPK_MM_TEST_DEVICE', 'cuda')
REPO = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == 'cuda' and not torch.cuda.is_available(), reason='no GPU'),
]
needs_cuda = pytest.mark.skipif(DEVICE != 'cuda', reason='only a GPU has it')
PACKAGES = pytest.mark.parametrize('package', [tiny, tiny_cls], ids=['detector', 'classifier'])


@pytest.fixture(autouse=True)
def exact():
    """32 bits are 32 bits, and the same sums are taken in the same order."""
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False
    for backend, value in zip(backends, before):
        backend.allow_tf32 = value


def build(cfg, device=DEVICE):
    return tiny.build(cfg).to(device).train()


def wrapper_of(model, precision='float32'):
    cfg = dict(optimizer=dict(type='SGD', lr=0.02), clip_grad=dict(max_norm=1.0))
    if precision != 'float32':
        cfg.update(type='AmpOptimWrapper', dtype=precision, loss_scale=dict(init_scale=128.0))
    return build_optim_wrapper(model, cfg)


def step(model, wrapper, batch, iteration=0):
    """A training step; what it logs, as numbers on the host."""
    MessageHub.get_current_instance().update_info('iter', iteration)
    with wrapper.optim_context(model):
        losses = model(**batch, mode='loss')
    loss, values = model.parse_losses(losses)
    wrapper.update_params(loss)
    return values


def train(model, batch, steps=3, **kwargs):
    wrapper = wrapper_of(model, **kwargs)
    logs = [step(model, wrapper, batch, i) for i in range(steps)]
    return [{name: value.item() for name, value in values.items()} for values in logs]


def weights(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_equal(ours, theirs):
    assert list(ours) == list(theirs)
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


@PACKAGES
@pytest.mark.parametrize('precision', ['float32', 'bfloat16', 'float16'])
def test_whole_steps(package, precision):
    """Losses are finite and on their way down, weights of student and necks move, the teacher's do not."""
    if DEVICE == 'cpu' and precision != 'float32':
        pytest.skip('mmengine refuses mixed precision on a CPU')
    model = build(package.distiller())
    batch = package.batch(model)
    model(**batch, mode='loss')  # the teacher follows to the device
    before, teacher = weights(model), weights(model.teacher)
    logs = train(model, batch, steps=6, precision=precision)
    assert all(torch.tensor(list(values.values())).isfinite().all() for values in logs)
    assert logs[-1]['loss'] < logs[0]['loss']
    moved = [not torch.equal(before[name], value) for name, value in model.named_parameters()]
    assert sum(moved) > 0.9 * len(moved)
    assert {value.device.type for value in model.state_dict().values()} == {DEVICE}
    assert_equal(weights(model.teacher), teacher)
    assert {value.device.type for value in teacher.values()} == {DEVICE}


@needs_cuda
@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
def test_weights_that_find_themselves_in_half_precision(precision):
    """Of a classifier, as in 32 bits, and AdamW trains the necks inside of the student's SGD."""
    found = []
    for kind in ('float32', precision):
        model = build(tiny_cls.distiller(method='dpk', stages=None))
        before = weights(model.distiller)
        logs = train(model, tiny_cls.batch(model), steps=2, precision=kind)
        found.append([logs[0][f'weight_{name}'] for name in ('layer2', 'layer3')])
        after = dict(model.distiller.named_parameters())
        assert 0 < max((after[name] - before[name]).abs().max().item() for name in after) < 3e-3
    assert found[1] == pytest.approx(found[0], rel=0.1)


@PACKAGES
def test_zero_weights_are_the_student_alone(package):
    """Bit for bit: its losses in every step, its weights after them."""
    student = tiny.retinanet() if package is tiny else tiny_cls.classifier()
    zero = package.stages(loss_weight=0.0)
    if package is tiny_cls:
        zero['logits'] = tiny_cls.logits(loss_weight=0.0)
    alone, ours = build(student), build(package.distiller(student, stages=zero))
    batch = package.batch(alone)
    expected, logs = train(alone, batch), train(ours, batch)
    for theirs, own in zip(expected, logs):
        task = 'loss_task' if package is tiny_cls else None
        for name, value in theirs.items():
            assert own[task if task and name == 'loss' else name] == value, name
    assert_equal(weights(ours.student), weights(alone))


@PACKAGES
def test_ratios_and_losses_are_the_cpus(package):
    logs = []
    for device in ('cpu', DEVICE):
        stages = package.stages()
        for stage in stages.values():
            if 'neck' in stage:
                # no bounds, where all would agree, and no draws, which are a device's own
                stage.update(
                    prior=dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.0, cap=1.0),
                    neck=dict(stage['neck'], mask='dpk_mm.TeacherActivityMask'),
                )
        model = build(package.distiller(stages=stages), device)
        logs.append(train(model, package.batch(model), steps=1)[0])
    assert any(name.startswith('ratio_') for name in logs[0])
    assert logs[1] == pytest.approx(logs[0], rel=1e-3, abs=1e-3)


@needs_cuda
@PACKAGES
def test_a_compiled_teacher_shows_the_same(package):
    features = []
    for compiled in (False, True):
        cfg = package.distiller()
        cfg['teacher'] = dict(cfg['teacher'], compile=compiled)
        model = build(cfg)
        batch = package.batch(model)
        for _ in range(2):
            maps = model.teacher(batch['inputs'], model.teacher_taps, batch['data_samples'])
        features.append(maps)
        assert train(model, batch, steps=1)[0]['loss'] > 0
    assert list(features[0]) == list(features[1])
    for name, eager in features[0].items():
        torch.testing.assert_close(features[1][name], eager, rtol=1e-3, atol=1e-3, msg=name)


def count_waits(model, batch):
    """How often the host waits for the device in the third step."""
    wrapper = wrapper_of(model)
    for i in range(2):
        step(model, wrapper, batch, i)
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            step(model, wrapper, batch, 2)
        finally:
            torch.cuda.set_sync_debug_mode('default')
    found = [f'{w.filename}:{w.lineno}' for w in caught if 'synchronizing CUDA' in str(w.message)]
    return found


@needs_cuda
@PACKAGES
def test_a_step_waits_for_the_device_once(package):
    """For the numbers of all priors; beyond what the student alone waits for."""
    torch.use_deterministic_algorithms(False)
    student = tiny.retinanet() if package is tiny else tiny_cls.classifier()
    alone, ours = build(student), build(package.distiller(student))
    batch = package.batch(alone)
    expected, found = count_waits(alone, batch), count_waits(ours, batch)
    extra = list(found)
    for place in expected:
        if place in extra:
            extra.remove(place)
    assert len(extra) == 1, extra


def test_killed_and_resumed_run_ends_bit_equal(tmp_path):
    data = tiny.write_coco(tmp_path / 'coco', num=4)
    cfg = tiny.training_cfg(tiny.distiller(), data, tmp_path / 'whole', epochs=2)
    runner = tiny.train(cfg)
    whole = weights(runner.model)
    assert next(runner.model.parameters()).device.type == DEVICE
    half = copy.deepcopy(cfg)
    half.work_dir = str(tmp_path / 'half')
    tiny.train_until_killed(half, 3)  # in the second of two epochs of two
    half.resume = True
    torch.manual_seed(99)
    resumed = tiny.train(half)
    assert resumed.iter == 4
    assert_equal(weights(resumed.model), whole)


@pytest.mark.parametrize('how', ['ddp', 'fsdp'])
@PACKAGES
def test_one_process_of_torchrun(package, how, tmp_path):
    """NCCL, with one process: it trains, logs and saves a student's checkpoint."""
    data = tiny.write_coco(tmp_path / 'd', num=4) if package is tiny else tiny_cls.write_cifar(tmp_path / 'd')
    cfg = package.training_cfg(package.distiller(), data, tmp_path / 'run', epochs=1)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    backend = 'nccl' if DEVICE == 'cuda' else 'gloo'
    cfg.env_cfg = dict(dist_cfg=dict(backend=backend), cudnn_benchmark=False, mp_cfg=dict())
    if how == 'fsdp':
        policy = dict(type='torch.distributed.fsdp.wrap.size_based_auto_wrap_policy', min_num_params=2000)
        cfg.strategy = dict(type='dpk_mm.FSDPStrategy', model_wrapper=dict(auto_wrap_policy=policy))
    cfg.dump(tmp_path / 'config.py')
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=1']
    command = [sys.executable, *launcher, str(REPO / 'tools/train.py'), 'config.py', '--launcher', 'pytorch']
    path = os.pathsep.join([str(REPO), os.environ.get('PYTHONPATH', '')])
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=path)
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    lines = next((tmp_path / 'run').rglob('scalars.json')).read_text().splitlines()
    logs = [entry for entry in map(json.loads, lines) if 'loss' in entry]
    assert len(logs) >= 2 and all(0 < entry['loss'] < 1e4 for entry in logs)
    student = tiny.build(tiny.retinanet() if package is tiny else tiny_cls.classifier())
    saved = torch.load(tmp_path / 'run/epoch_1.pth', map_location='cpu')['state_dict']
    student.load_state_dict({name: saved[name] for name in student.state_dict()}, strict=True)


@needs_cuda
@PACKAGES
def test_the_teacher_keeps_nothing_for_a_backward_pass(package):
    model = build(package.distiller())
    batch = package.batch(model, num=16)
    arguments = batch['inputs'], model.teacher_taps, batch['data_samples']
    teacher, peaks = model.teacher, []
    teacher(*arguments)
    for look in (teacher.forward, lambda *args: type(teacher).forward.__wrapped__(teacher, *args)):
        teacher.requires_grad_(bool(peaks))
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        begin = torch.cuda.memory_allocated()
        maps = look(*arguments)
        peaks.append(torch.cuda.max_memory_allocated() - begin)
        assert any(value.requires_grad for value in maps.values()) == (len(peaks) == 2)
        del maps
    assert peaks[0] < 0.7 * peaks[1]


def test_ema_and_two_optimizers(tmp_path):
    """The rest of what a config may ask for: averaged weights, necks with an optimizer, channels last."""
    data = tiny_cls.write_cifar(tmp_path / 'cifar')
    cfg = tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path / 'run', epochs=1)
    adamw = dict(optimizer=dict(type='AdamW', lr=1e-3), clip_grad=dict(max_norm=1.0))
    cfg.optim_wrapper.update(constructor='dpk_mm.DistillOptimWrapperConstructor', distiller=adamw)
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1), dict(type='dpk_mm.ChannelsLastHook')]
    if DEVICE == 'cuda':
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16')
    runner = tiny.train(cfg)
    assert runner.iter == 4
    assert all(value.isfinite().all() for value in get_state_dict(runner.model).values())
    assert 'accuracy/top1' in runner.val_loop.run()
