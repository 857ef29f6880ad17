"""What must hold of whole training runs: one test for each promise."""

import copy
import json
from pathlib import Path

import pytest
import tiny
import torch
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tiny.write_coco(tmp_path_factory.mktemp('coco'))


def state(runner):
    return {k: v.clone() for k, v in get_state_dict(runner.model).items()}


def assert_equal(a, b):
    assert list(a) == list(b)
    different = [k for k in a if not torch.equal(a[k], b[k])]
    assert not different, different[:5]


def train_log(work_dir):
    lines = next(Path(work_dir).rglob('scalars.json')).read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if 'loss_cls' in entry]


@pytest.mark.parametrize('how', tiny.slow_but(['watched', 'idle'], 'watched'))
def test_zero_weights_train_the_plain_student_bit_for_bit(data, tmp_path, how):
    """With a stage whose prior is watched, and with stages that have nothing to do."""
    stages = tiny.stages(loss_weight=0.0)
    if how == 'idle':
        stages = tiny.stages((0,))
        # four weights of 0 are a loss of weight 0
        stages['neck_0']['loss'].update(loss_weight=1.0, alpha_fg=0, beta_bg=0, gamma_mask=0, lambda_rela=0)
    student = tiny.retinanet()
    # so little that it is exceeded: gradients of other parameters would count
    clip = {'optim_wrapper.clip_grad': dict(max_norm=1e-3)}
    plain = tiny.train(tiny.training_cfg(student, data, tmp_path / 'plain', **clip))
    ours = tiny.train(
        tiny.training_cfg(tiny.distiller(student, stages=stages), data, tmp_path / 'dpk', **clip)
    )
    student_state = {k: v for k, v in state(ours).items() if not k.startswith('distiller.')}
    assert_equal(state(plain), student_state)
    logs = train_log(tmp_path / 'plain'), train_log(tmp_path / 'dpk')
    assert len(logs[0]) == len(logs[1]) == 8
    for a, b in zip(*logs):
        assert a['loss_cls'] == b['loss_cls'] and a['loss_bbox'] == b['loss_bbox']
        assert a['grad_norm'] == b['grad_norm'] > 1e-3
        assert b['loss_distill_neck_0'] == 0 and ('ratio_neck_2' in b) == (how == 'watched')


@pytest.mark.slow
def test_distillation_trains_and_logs(data, tmp_path):
    adamw = dict(_delete_=True, type='AdamW', lr=2e-3)
    runner = tiny.train(
        tiny.training_cfg(tiny.distiller(), data, tmp_path, epochs=3, **{'optim_wrapper.optimizer': adamw})
    )
    log = train_log(tmp_path)
    assert {'loss_distill_neck_0', 'loss_distill_neck_2', 'ratio_neck_2', 'loss_cls'} <= set(log[0])
    assert 'ratio_neck_0' not in log[0]
    total = (
        log[-1]['loss_cls']
        + log[-1]['loss_bbox']
        + log[-1]['loss_distill_neck_0']
        + log[-1]['loss_distill_neck_2']
    )
    assert log[-1]['loss'] == pytest.approx(total, rel=1e-5)
    for name in ('loss_distill_neck_0', 'loss_distill_neck_2'):
        assert log[-1][name] < 0.9 * log[0][name]
    metrics = runner.val_loop.run()
    assert 'coco/bbox_mAP' in metrics  # upstream's name, so save_best and dashboards work


@pytest.mark.slow
def test_killed_and_resumed_run_ends_bit_equal(data, tmp_path):
    cfg = tiny.training_cfg(tiny.distiller(), data, tmp_path / 'whole', epochs=2)
    whole = state(tiny.train(cfg))

    half = copy.deepcopy(cfg)
    half.work_dir = str(tmp_path / 'half')
    tiny.train_until_killed(half, 6)  # in the second of two epochs of four
    half.resume = True
    torch.manual_seed(99)
    resumed = tiny.train(half)
    assert resumed.iter == 8
    assert_equal(whole, state(resumed))


def test_checkpoint_is_a_student_checkpoint(data, tmp_path, monkeypatch):
    student = tiny.retinanet()
    runner = tiny.train(tiny.training_cfg(tiny.distiller(student), data, tmp_path, epochs=1))
    monkeypatch.setattr(torch.serialization._weights_only_unpickler, '_marked_safe_globals_set', set())
    saved = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)  # as a process without dpk_mm does
    plain = tiny.build(student, seed=1)
    own = [k for k in saved['state_dict'] if k.startswith('distiller.')]
    names = [k for k in saved['state_dict'] if k not in own]
    assert own and names == list(plain.state_dict())
    assert list(saved['state_dict'])[: len(names)] == names
    # No weight of the teacher: the student's and the necks' numbers are all there is.
    numbers = sum(v.numel() for v in saved['state_dict'].values())
    parts = (runner.model.student, runner.model.distiller)
    assert numbers == sum(v.numel() for part in parts for v in part.state_dict().values())

    plain.load_state_dict({k: saved['state_dict'][k] for k in names}, strict=True)
    plain.eval()
    runner.model.eval()
    inputs = tiny.batch(plain)['inputs']
    with torch.no_grad():
        for a, b in zip(plain(inputs)[0], runner.model(inputs)[0]):
            assert torch.equal(a, b)


@pytest.mark.slow
def test_load_from_a_plain_student(data, tmp_path):
    student = tiny.retinanet()
    plain = tiny.train(tiny.training_cfg(student, data, tmp_path / 'plain', epochs=1))
    cfg = tiny.training_cfg(tiny.distiller(student), data, tmp_path / 'dpk')
    runner = Runner.from_cfg(cfg)
    runner.load_checkpoint(str(tmp_path / 'plain' / 'epoch_1.pth'), strict=True)
    assert_equal(state(plain), {k: v for k, v in state(runner).items() if not k.startswith('distiller.')})


@pytest.mark.slow
def test_ema_copies_no_teacher_and_saves_student_names(data, tmp_path):
    cfg = tiny.training_cfg(tiny.distiller(), data, tmp_path, epochs=1)
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.1)]
    runner = tiny.train(cfg)
    ema = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook').ema_model
    assert ema.module is not runner.model
    assert ema.module.teacher is runner.model.teacher
    saved = torch.load(tmp_path / 'epoch_1.pth')
    plain = tiny.build(tiny.retinanet()).state_dict()
    assert set(plain) <= set(saved['state_dict'])
    assert {f'module.{k}' for k in plain} <= set(saved['ema_state_dict'])
    numbers = sum(v.numel() for k, v in saved['ema_state_dict'].items() if k.startswith('module.'))
    assert numbers == sum(v.numel() for v in saved['state_dict'].values())
    cfg.resume = True
    cfg.train_cfg.max_epochs = 2
    tiny.train(cfg)


@pytest.mark.slow
def test_teacher_stays_as_it_was(data, tmp_path):
    cfg = tiny.training_cfg(tiny.distiller(), data, tmp_path, epochs=1)
    runner = Runner.from_cfg(cfg)
    teacher = runner.model.teacher
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    runner.train()
    assert_equal(before, dict(teacher.state_dict()))
    assert not any(m.training for m in teacher.modules())
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())
    optimized = {id(p) for group in runner.optim_wrapper.param_groups for p in group['params']}
    assert not optimized & {id(p) for p in teacher.parameters()}
    assert optimized == {id(p) for p in runner.model.parameters() if p.requires_grad}


@pytest.mark.slow
def test_accumulated_gradients_train(data, tmp_path):
    cfg = tiny.training_cfg(tiny.distiller(), data, tmp_path, epochs=1)
    cfg.optim_wrapper.accumulative_counts = 2
    before = tiny.build(cfg.model).distiller.state_dict()
    after = tiny.train(cfg).model.distiller.state_dict()
    assert all(torch.isfinite(v).all() for v in after.values())
    assert any(not torch.equal(before[k], after[k]) for k in after)
