"""AdamW of the necks inside of the student's optimizer."""

import copy
import gc
import io

import pytest
import tiny
import tiny_cls
import torch
from mmengine.optim import OneCycleLR, OptimWrapper, build_optim_wrapper
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.optimizer import _global_optimizer_pre_hooks

from dpk_mm.models.distillers import inner_adamw
from dpk_mm.models.distillers.inner_adamw import InnerAdamW


def parts(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 3), nn.Linear(3, 2)


def losses(student, neck, steps):
    x = torch.linspace(-1, 1, 12).view(4, 3)
    for _ in range(steps):
        yield neck(student(x)).square().mean()


def train(student, neck, optimizer, steps=3, clip=None):
    for loss in losses(student, neck, steps):
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_([*student.parameters(), *neck.parameters()], clip)
        optimizer.step()


def weights(*modules):
    return torch.cat(
        [parameter.detach().flatten() for module in modules for parameter in module.parameters()]
    )


def test_necks_are_trained_by_adamw_and_the_student_by_its_own():
    student, neck = parts()
    optimizer = SGD([*student.parameters(), *neck.parameters()], lr=0.1, momentum=0.9, weight_decay=0.1)
    inner = InnerAdamW(neck, lr=0.01, max_norm=1e9)
    train(student, neck, optimizer)

    other, other_neck = parts()
    sgd = SGD(other.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    groups = [dict(params=[other_neck.weight]), dict(params=[other_neck.bias], weight_decay=0.0)]
    adamw = AdamW(groups, lr=0.01, betas=(0.9, 0.95), weight_decay=1e-4)
    for loss in losses(other, other_neck, 3):
        sgd.zero_grad(), adamw.zero_grad()
        loss.backward()
        sgd.step(), adamw.step()
    assert torch.equal(weights(student), weights(other))
    assert torch.allclose(weights(neck), weights(other_neck), rtol=0, atol=1e-7)
    del inner


def test_the_rate_follows_the_schedule_of_the_student():
    student, neck = parts()
    optimizer = SGD([*student.parameters(), *neck.parameters()], lr=0.1)
    inner = InnerAdamW(neck, lr=0.01, weight_decay=0.0)
    for group in optimizer.param_groups:
        group.update(initial_lr=0.1, lr=0.0)
    before = weights(neck)
    train(student, neck, optimizer, steps=1)
    assert torch.equal(before, weights(neck))
    optimizer.param_groups[0]['lr'] = 0.05
    train(student, neck, optimizer, steps=1)
    # AdamW's second step is about as long as its rate
    assert (weights(neck) - before).abs().max() == pytest.approx(0.005, rel=0.3)
    del inner


def test_clipping_counts_the_student_alone():
    results = []
    for scale in (1.0, 1000.0):
        student, neck = parts()
        optimizer = SGD([*student.parameters(), *neck.parameters()], lr=0.1)
        inner = InnerAdamW(neck, lr=1e-9)
        for loss in losses(student, neck, 1):
            # a large gradient of the neck alone
            (loss + (scale - 1) * neck.bias.sum() * 1e-3).backward()
        norm = nn.utils.clip_grad_norm_([*student.parameters(), *neck.parameters()], 1e-3)
        results.append((float(norm), student.weight.grad.clone()))
        optimizer.step()
        del inner
    assert results[0][0] == results[1][0] and torch.equal(results[0][1], results[1][1])


def test_an_optimizer_of_the_necks_own_takes_them_over():
    weights_after = []
    for method in ('dpk', None):
        model = tiny.build(tiny_cls.distiller(method='dpk', stages=None))
        if method is None:
            stages = model.stage_cfgs
            model = tiny.build(tiny_cls.distiller(stages=stages))
        own = dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=0.01))
        cfg = dict(constructor='dpk_mm.DistillOptimWrapperConstructor', distiller=own)
        wrapper = build_optim_wrapper(model, dict(cfg, optimizer=dict(type='SGD', lr=0.1)))
        loss, _ = model.parse_losses(model(**tiny_cls.batch(model), mode='loss'))
        wrapper.update_params(loss)
        weights_after.append(weights(model.student, model.distiller))
    assert torch.equal(*weights_after)


def test_its_hook_ends_with_it():
    hooks = _global_optimizer_pre_hooks
    gc.collect()  # models of other tests
    before = len(hooks)
    student, neck = parts()
    inner = InnerAdamW(neck)
    assert len(hooks) == before + 1
    copied = copy.deepcopy(inner)  # EMA copies the model
    assert len(hooks) == before + 2
    del inner, copied
    assert len(hooks) == before


@pytest.mark.parametrize('copied', ['in memory', 'in a file'])
def test_a_copy_of_the_model_trains_as_the_model_does(copied):
    model = tiny.build(tiny_cls.distiller(method='dpk', stages=None))
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    other = copy.deepcopy(model) if copied == 'in memory' else torch.load(file, weights_only=False)
    before, after = weights(model.distiller), []
    for one in (model, other):
        torch.manual_seed(0)
        optimizer = SGD([parameter for parameter in one.parameters() if parameter.requires_grad], lr=0.1)
        loss, _ = one.parse_losses(one(**tiny_cls.batch(one), mode='loss'))
        loss.backward()
        optimizer.step()
        assert any('exp_avg' in entry for entry in optimizer.state_dict()['state'].values())
        after.append(weights(one.distiller))
    assert torch.equal(*after) and not torch.equal(before, after[0])


def test_a_fused_optimizer_scales_and_skips_as_another_does():
    after = []
    for fused in (False, True):
        student, neck = parts()
        optimizer = SGD([*student.parameters(), *neck.parameters()], lr=0.1, fused=fused)
        inner = InnerAdamW(neck, lr=0.01)
        scaler = torch.amp.GradScaler('cpu', init_scale=2.0**8)
        for step, loss in enumerate(losses(student, neck, 3)):
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            if step == 0:
                student.weight.grad[0, 0] = neck.weight.grad[0, 0] = float('inf')
            scaler.step(optimizer)
            scaler.update()
        after.append(weights(student, neck))
        del inner
    assert after[0].isfinite().all() and torch.allclose(*after, rtol=0, atol=1e-6)


def test_a_cycle_rises_to_the_rate():
    student, neck = parts()
    optimizer = SGD([*student.parameters(), *neck.parameters()], lr=0.1)
    inner = InnerAdamW(neck, lr=0.01)
    schedule = OneCycleLR(OptimWrapper(optimizer), eta_max=0.5, total_steps=8)
    rates = []
    for _ in range(8):
        train(student, neck, optimizer, steps=1)
        rates.append(inner._inner.param_groups[0]['lr'])
        schedule.step()
    assert max(rates) == pytest.approx(0.01, rel=0.1) and rates[0] == pytest.approx(0.01 / 25)


def test_an_optimizer_that_is_none_of_torchs_is_told(monkeypatch):
    monkeypatch.setattr(inner_adamw, '_PATIENCE', 3)
    student, neck = parts()
    inner = InnerAdamW(neck)
    for _ in range(3):
        inner.expect_step(student)
    with pytest.raises(RuntimeError, match='model.optimizer: no optimizer of torch has made a step'):
        inner.expect_step(student)


def test_an_optimizer_that_leaves_out_the_necks_is_told(monkeypatch):
    monkeypatch.setattr(inner_adamw, '_OTHERS', 3)
    student, neck = parts()
    inner, optimizer = InnerAdamW(neck), SGD(student.parameters(), lr=0.1)
    for _ in range(4):
        inner.expect_step(student)
        optimizer.step()
    with pytest.raises(RuntimeError, match='4 steps were made by optimizers that leave out the modules'):
        inner.expect_step(student)


def test_optimizers_of_other_models_and_of_a_part_of_the_student_do_not_matter(monkeypatch):
    monkeypatch.setattr(inner_adamw, '_OTHERS', 3)
    student, neck = parts()
    inner = InnerAdamW(neck)
    critic, part = SGD(nn.Linear(1, 1).parameters(), lr=0.1), SGD([next(student.parameters())], lr=0.1)
    own = SGD([*list(student.parameters())[1:], *neck.parameters()], lr=0.1)
    for _ in range(9):
        inner.expect_step(student)
        critic.step()
    for _ in range(3):
        for _ in range(2):
            inner.expect_step(student)
            part.step()
        own.step()


@pytest.mark.parametrize('field, value', [('lr', 0), ('lr', 'x'), ('max_norm', -1), ('weight_decay', -1)])
def test_numbers_are_checked(field, value):
    with pytest.raises(ValueError, match=f'optimizer.{field} must be'):
        tiny.build(tiny.distiller(optimizer={field: value}))


def test_a_method_has_it_and_written_stages_have_not():
    assert tiny.build(tiny_cls.distiller()).inner is None
    model = tiny.build(tiny_cls.distiller(method='dpk', stages=None))
    assert len(model.inner.parameters) == len(list(model.distiller.parameters()))
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    before = weights(model.distiller)
    loss, _ = model.parse_losses(model(**tiny_cls.batch(model), mode='loss'))
    wrapper.update_params(loss)
    moved = (weights(model.distiller) - before).abs()
    assert 0 < moved.max() < 1.1e-3  # AdamW's first step is as long as its rate
    state = wrapper.optimizer.state_dict()['state']
    assert any('exp_avg' in entry for entry in state.values())


def test_a_rate_that_begins_at_zero_is_no_division_by_it():
    student, neck = parts()
    optimizer = SGD([*student.parameters(), *neck.parameters()], lr=0.0)
    inner = InnerAdamW(neck, lr=0.01)
    before = weights(neck)
    train(student, neck, optimizer, steps=1)
    assert not torch.equal(before, weights(neck))
    del inner


def test_optimizers_that_read_the_state_of_all_are_refused():
    student, neck = parts()
    optimizer = torch.optim.Adagrad([*student.parameters(), *neck.parameters()])
    inner = InnerAdamW(neck)
    with pytest.raises(ValueError, match='model.optimizer: Adagrad reads the state of all parameters'):
        train(student, neck, optimizer, steps=1)
    del inner


def test_a_distiller_can_be_saved_whole(tmp_path):
    model = tiny.build(tiny_cls.distiller(method='dpk', stages=None))
    torch.save(model, tmp_path / 'model.pth')
    loaded = torch.load(tmp_path / 'model.pth', weights_only=False)
    assert torch.equal(weights(model.distiller), weights(loaded.distiller))
