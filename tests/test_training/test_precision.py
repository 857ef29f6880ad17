"""Sixteen bits: the whole step gives what it gives in 32, as nearly as 16 bits can say it."""

import contextlib

import pytest
import tiny
import tiny_cls
import torch
from mmengine.optim import build_optim_wrapper

# 8 and 11 bits of a number: a step of many layers keeps about these shares of its losses
TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 2e-3}
PACKAGES = pytest.mark.parametrize('package', [tiny, tiny_cls], ids=['detector', 'classifier'])
DTYPES = pytest.mark.parametrize('dtype', TOLERANCE, ids=['bfloat16', 'float16'])


def autocast(dtype):
    return contextlib.nullcontext() if dtype is None else torch.autocast('cpu', dtype)


def build(package, **teacher):
    """A distiller whose priors are not at their bounds, where all precisions agree."""
    cfg = package.distiller()
    cfg['teacher'] = dict(cfg['teacher'], **teacher)
    for stage in cfg['stages'].values():
        if 'neck' in stage:
            stage['prior'] = dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.0, cap=1.0)
    return tiny.build(cfg).train()


def step(model, package, dtype=None):
    """Losses, ratios and all gradients in one vector, in float32."""
    batch = package.batch(model)
    with autocast(dtype):
        losses = model(**batch, mode='loss')
    loss, values = model.parse_losses(losses)
    assert loss.dtype == torch.float32
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return {name: float(value) for name, value in values.items()}, gradient


def inside(model, package, dtype):
    """What the losses and priors of all stages got and gave in a step, and the step's batch."""
    seen = []
    for stage in model.distiller.values():
        stage.loss.register_forward_hook(lambda loss, args, value: seen.append((loss, args, float(value))))
        if getattr(stage, 'prior', None) is not None:

            def watch(*args, prior=stage.prior):
                seen.append((prior, args, prior(*args)))
                return seen[-1][-1]

            watch.stage, stage.prior = '', watch
    with autocast(dtype):
        model(**package.batch(model), mode='loss')
    return list(seen)  # the hooks stay


@PACKAGES
@DTYPES
def test_autocast_is_near_to_float32(package, dtype):
    expected, gradient = step(build(package), package)
    values, ours = step(build(package), package, dtype)
    assert values == pytest.approx(expected, rel=TOLERANCE[dtype], abs=TOLERANCE[dtype] / 5)
    assert values != expected
    assert torch.cosine_similarity(ours, gradient, dim=0) > {torch.bfloat16: 0.9, torch.float16: 0.99}[dtype]


@PACKAGES
@DTYPES
def test_losses_and_ratios_are_computed_in_float32(package, dtype):
    """The same features give, outside of autocast and as float32, what they gave in the step."""
    seen = inside(build(package), package, dtype)
    assert any(any(getattr(a, 'dtype', None) == dtype for a in args) for _, args, _ in seen)
    assert len(seen) == {tiny: 3, tiny_cls: 5}[package]
    for part, args, value in seen:
        args = [a.detach().float() if isinstance(a, torch.Tensor) else a for a in args]
        assert float(part(*args)) == pytest.approx(value, rel=1e-5), part


@DTYPES
def test_features_at_the_maximum_of_float16(dtype):
    """Squares, sums and CKA of maps of 65504 are no infinities; a neck is as any other layer."""
    largest = torch.finfo(torch.float16).max
    plain = {f'p{i + 3}': dict(at=f'neck[{i}]', loss=tiny.FGD) for i in (0, 2)}
    model = tiny.build(tiny.distiller(stages=plain))
    samples = tiny.batch(model)['data_samples']
    prior = tiny.build(dict(type='dpk_mm.CKAPrior', samples='positions', floor=0.0, cap=1.0, fallback=0.0))

    def features(seed):
        signs = torch.randn(2, 2, 8, 24, 20, generator=torch.Generator().manual_seed(seed)).sign()
        return dict(zip(['neck[0]', 'neck[2]'], (signs * largest).to(dtype)))

    ours = {tap: feat.requires_grad_() for tap, feat in features(0).items()}
    with autocast(dtype):
        losses = model.distill(ours, features(1), samples)
        ratio = prior(ours['neck[0]'], features(1)['neck[0]'])
    wide = [
        {tap: feat.detach().double().float() for tap, feat in part.items()} for part in (ours, features(1))
    ]
    with torch.no_grad():
        expected = model.distill(*wide, samples)
    assert len(losses) == 2
    for name, loss in losses.items():
        assert loss.isfinite() and loss.item() == pytest.approx(expected[name].item(), rel=1e-4), name
    unit = [{tap: feat / largest for tap, feat in part.items()} for part in wide]
    assert 0.5 < ratio == pytest.approx(prior(unit[0]['neck[0]'], unit[1]['neck[0]']), rel=1e-4)


@PACKAGES
@DTYPES
def test_a_teacher_with_a_dtype_of_its_own(package, dtype):
    """A 16-bit teacher beside a 32-bit student: the student's own loss is the same bit for bit."""
    plain, model = build(package), build(package, dtype=str(dtype).removeprefix('torch.'))
    inputs = package.batch(plain)
    for tap, theirs in plain.teacher(inputs['inputs'], plain.teacher_taps, inputs['data_samples']).items():
        ours = model.teacher(inputs['inputs'], [tap], inputs['data_samples'])[tap]
        assert ours.dtype == torch.float32 and not torch.equal(ours, theirs)
        assert (ours - theirs).norm() < TOLERANCE[dtype] * theirs.norm(), tap
    (expected, gradient), (values, ours) = step(plain, package), step(model, package)
    for name, value in expected.items():
        own = name in ('loss_cls', 'loss_bbox', 'loss_task')
        assert values[name] == (value if own else pytest.approx(value, rel=TOLERANCE[dtype] / 2)), name
    assert torch.cosine_similarity(ours, gradient, dim=0) > 0.99


@pytest.mark.slow
def test_mixed_precision_by_the_config(tmp_path, monkeypatch):
    """mmengine's AmpOptimWrapper, which refuses the CPU, with torch's scaler for the CPU."""
    import mmengine.optim.optimizer.amp_optimizer_wrapper as module

    monkeypatch.setattr(module, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(module, 'GradScaler', lambda **kwargs: torch.amp.GradScaler('cpu', **kwargs))
    data, weights, changes = tiny_cls.write_cifar(tmp_path / 'cifar'), [], []
    for name, more in (('fp32', {}), ('amp', dict(type='AmpOptimWrapper', dtype='bfloat16'))):
        cfg = tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path / name, epochs=1)
        cfg.optim_wrapper.update(more)
        runner = tiny.build_runner(cfg)
        runner.model.init_weights()
        start = torch.cat([p.detach().flatten() for p in runner.model.parameters()])
        runner.train()
        weights.append(torch.cat([p.detach().flatten() for p in runner.model.parameters()]))
        assert all(p.dtype == torch.float32 for p in runner.model.parameters())
        changes.append(weights[-1] - start)
    assert not torch.equal(*weights)
    assert (changes[0] - changes[1]).norm() < 0.1 * changes[0].norm()


def test_accumulated_gradients_are_those_of_the_whole_batch():
    """Without the statistics of batch norm, which are each part's, and with masks that are not by chance."""
    neck = dict(tiny_cls.NECK, mask='dpk_mm.TeacherActivityMask')
    stages = {
        name: dict(stage, neck=neck, prior=dict(type='dpk_mm.FixedPrior'))
        for name, stage in tiny_cls.stages().items()
    }
    stages['logits'] = tiny_cls.logits()
    weights = []
    for size in (4, 4, 2):
        model = tiny.build(tiny_cls.distiller(stages=stages)).eval()
        batch = tiny_cls.batch(model, num=4)
        cfg = dict(optimizer=dict(type='SGD', lr=0.1 if weights else 0.0), accumulative_counts=4 // size)
        wrapper = build_optim_wrapper(model, cfg)
        for start in range(0, 4, size):
            part = {key: value[start : start + size] for key, value in batch.items()}
            loss, _ = model.parse_losses(model(**part, mode='loss'))
            wrapper.update_params(loss)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    fresh, whole, parts = weights
    assert (whole - fresh).abs().max() > 1e-2
    torch.testing.assert_close(parts - fresh, whole - fresh, rtol=1e-4, atol=1e-6)
