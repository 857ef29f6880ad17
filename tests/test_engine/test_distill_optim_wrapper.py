"""Two optimizers in one run: the constructor and the wrapper it makes."""

import contextlib
import copy
import json

import pytest
import tiny
import tiny_cls
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict
from torch import nn

from dpk_mm.engine import DistillOptimWrapperConstructor, JointOptimWrapper

NAME = 'dpk_mm.DistillOptimWrapperConstructor'
ADAMW = dict(type='AdamW', lr=1e-3, weight_decay=1e-2)


def two(**more):
    """Changes of a training config: AdamW for the necks, with its own clipping."""
    own = dict(optimizer=ADAMW, clip_grad=dict(max_norm=0.5))
    return {'optim_wrapper.constructor': NAME, 'optim_wrapper.distiller': dict(own, **more)}


def two_schedules(cfg):
    """Another schedule for the necks."""
    own = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=6)]
    cfg.param_scheduler = dict(student=cfg.param_scheduler, distiller=own)
    return cfg


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tiny_cls.write_cifar(tmp_path_factory.mktemp('cifar'))


def state(runner, student_only=False):
    weights = get_state_dict(runner.model).items()
    return {k: v.clone() for k, v in weights if not (student_only and k.startswith('distiller.'))}


def assert_equal(a, b):
    assert list(a) == list(b)
    different = [k for k in a if not torch.equal(a[k], b[k])]
    assert not different, different[:5]


def log(work_dir):
    lines = next(work_dir.rglob('scalars.json')).read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if 'loss' in entry]


def test_the_student_trains_as_alone(data, tmp_path):
    """With all weights 0, SGD, its schedule and its clipping do to the student what they do upstream."""
    student = tiny_cls.classifier()
    # the last update has fewer losses
    more = {'optim_wrapper.accumulative_counts': 3, 'optim_wrapper.clip_grad.max_norm': 0.01}
    plain = tiny.train(tiny_cls.training_cfg(student, data, tmp_path / 'plain', **more))
    model = tiny_cls.distiller(student, loss_weight=0.0)
    # a stage that is only watched has nothing to train, so one that trains, far from the student's loss
    like = model['stages']['backbone_layer3']
    model['stages']['apart'] = dict(like, loss=dict(type='dpk_mm.FeatureMSELoss'))
    cfg = two_schedules(tiny_cls.training_cfg(model, data, tmp_path / 'dpk', **more, **two()))
    runner = Runner.from_cfg(cfg)
    detach(runner.model.distiller['apart'])
    runner.train()
    assert_equal(state(plain), state(runner, student_only=True))
    fresh = tiny.build(model, seed=3)
    assert any(not torch.equal(v, state(runner)[k]) for k, v in fresh.state_dict().items() if 'apart' in k)


def detach(stage):
    """Keep the gradient of a stage from the student."""
    stage.register_forward_pre_hook(lambda _, args: (args[0].detach(), *args[1:]))


def test_logs_and_schedules_are_apart(data, tmp_path):
    cfg = two_schedules(tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path, **two()))
    tiny.train(cfg)
    entries = log(tmp_path)
    assert [round(entry['student.lr'], 6) for entry in entries] == [0.05] * 4 + [0.005] * 4
    necks = [entry['distiller.lr'] for entry in entries]
    assert necks == sorted(necks) and necks[0] == pytest.approx(1e-4) and necks[-1] == pytest.approx(1e-3)
    assert all(entry['student.grad_norm'] != entry['distiller.grad_norm'] for entry in entries)


def test_one_schedule_serves_both(data, tmp_path):
    runner = tiny.train(tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path, **two()))
    rates = {name: rate[0] for name, rate in runner.optim_wrapper.get_lr().items()}
    assert rates == pytest.approx({'student.lr': 0.005, 'distiller.lr': 1e-4})


@pytest.mark.parametrize('accumulate', tiny.slow_but([1, 2], 2))
def test_resumes_bit_equal(data, tmp_path, accumulate):
    more = {'optim_wrapper.accumulative_counts': accumulate}
    cfg = tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path / 'whole', **more, **two())
    whole = tiny.train(two_schedules(cfg))
    half = copy.deepcopy(cfg)
    half.work_dir = str(tmp_path / 'half')
    tiny.train_until_killed(half, 6)  # in the second of two epochs of four
    half.resume = True
    torch.manual_seed(99)
    resumed = tiny.train(half)
    assert resumed.iter == 8
    assert_equal(state(whole), state(resumed))
    for name, wrapper in whole.optim_wrapper.items():
        assert wrapper.get_lr() == resumed.optim_wrapper[name].get_lr()


def test_settings_by_name_reach_the_student_alone():
    model = tiny.build(tiny_cls.distiller())
    cfg = dict(
        type='OptimWrapper',
        constructor=NAME,
        optimizer=dict(type='SGD', lr=0.1, weight_decay=1e-4),
        paramwise_cfg=dict(custom_keys={'layer3': dict(lr_mult=0.1), 'norm': dict(decay_mult=0.0)}),
        accumulative_counts=4,
        distiller=dict(optimizer=ADAMW, paramwise_cfg=dict(norm_decay_mult=0.0, flat_decay_mult=0.0)),
    )
    before = copy.deepcopy(cfg)
    wrapper = build_optim_wrapper(model, cfg)
    assert cfg == before
    student, own = wrapper['student'].optimizer, wrapper['distiller'].optimizer
    assert isinstance(student, torch.optim.SGD) and isinstance(own, torch.optim.AdamW)
    options = {id(p): g for o in (student, own) for g in o.param_groups for p in g['params']}
    names = {name: options[id(parameter)] for name, parameter in model.named_parameters()}
    assert len(names) == len(options)  # every parameter, and each once
    for name, group in names.items():
        if not name.startswith('distiller.'):
            assert group['lr'] == pytest.approx(0.01 if 'layer3' in name else 0.1), name
        else:
            assert group['lr'] == 1e-3
            decays = group['weight_decay'] != 0
            assert decays == (dict(model.named_parameters())[name].ndim > 1), name
    assert all(w._accumulative_counts == 4 for w in wrapper.values())


def test_the_students_clipping_is_not_the_necks():
    cfg = dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=35), constructor=NAME)
    cfg['distiller'] = dict(optimizer=ADAMW)
    wrapper = build_optim_wrapper(tiny.build(tiny_cls.distiller()), cfg)
    assert wrapper['student'].clip_grad_kwargs == dict(max_norm=35)
    assert not wrapper['distiller'].clip_grad_kwargs


def test_upstream_constructor_for_the_student():
    """Layer-wise decay of mmpretrain, which asks the model for the depth of its layers."""
    backbone = dict(type='VisionTransformer', arch='deit-t', img_size=32, patch_size=16, out_type='cls_token')
    head = dict(type='LinearClsHead', num_classes=100, in_channels=192)
    vit = dict(tiny_cls.classifier(), backbone=backbone, neck=None, head=head)
    own = dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss'))
    to_map = dict(
        student_at='backbone.patch_embed.projection',
        teacher_at='backbone.layer3',
        loss=dict(type='dpk_mm.FeatureMSELoss'),
    )
    model = tiny.build(tiny_cls.distiller(vit, stages=dict(map=to_map, logits=own)))
    cfg = dict(
        constructor=NAME,
        student_constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor',
        optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
        paramwise_cfg=dict(layer_decay_rate=0.5),
        distiller=dict(optimizer=ADAMW),
    )
    rates = {g['lr'] for g in build_optim_wrapper(model, cfg)['student'].optimizer.param_groups}
    assert len(rates) > 5 and max(rates) == 1.0


MISTAKES = [
    (None, 'optim_wrapper.distiller must be a dict with the optimizer'),
    ('AdamW', 'optim_wrapper.distiller must be a dict'),
    (dict(type='AdamW', lr=1e-3), 'must be a dict with the optimizer'),
    (dict(optimizer=ADAMW, accumulative_counts=2), r"no field \['accumulative_counts'\]; it takes clip_grad"),
]


@pytest.mark.parametrize('own, message', MISTAKES)
def test_mistakes(own, message):
    cfg = dict(optimizer=dict(type='SGD', lr=0.1), distiller=own)
    with pytest.raises(ValueError, match=message):
        DistillOptimWrapperConstructor(cfg)


def test_paramwise_settings_that_need_another_constructor():
    """The inherited constructor was replaced: its settings must not be lost in silence."""
    cfg = dict(optimizer=dict(type='SGD', lr=0.1), distiller=dict(optimizer=ADAMW))
    with pytest.raises(ValueError, match=r"\['layer_decay_rate'\] is not for .*student_constructor"):
        DistillOptimWrapperConstructor(cfg, paramwise_cfg=dict(layer_decay_rate=0.5))


def test_other_models_are_refused():
    cfg = dict(optimizer=dict(type='SGD', lr=0.1), constructor=NAME, distiller=dict(optimizer=ADAMW))
    with pytest.raises(ValueError, match='is for distillers such as dpk_mm.Distiller, got a Linear'):
        build_optim_wrapper(nn.Linear(2, 2), cfg)


LOGITS = dict(logits=tiny_cls.logits())


@pytest.mark.parametrize('without', [dict(stages=LOGITS), dict(loss_weight=0.0)], ids=['logits', 'weights 0'])
def test_nothing_of_the_distiller_to_train(data, tmp_path, without):
    """Logit distillation alone, and weights of 0, by the same config as DPK."""
    paramwise = dict(norm_decay_mult=0.0, flat_decay_mult=0.0)
    cfg = tiny_cls.training_cfg(tiny_cls.distiller(**without), data, tmp_path, epochs=1, **two())
    cfg.optim_wrapper.distiller.paramwise_cfg = paramwise
    runner = tiny.train(two_schedules(cfg))
    assert list(runner.optim_wrapper.keys()) == ['student']


def test_resuming_with_other_optimizers_is_refused(data, tmp_path):
    one = tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path, epochs=1)
    tiny.train(one)
    other = tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path, epochs=2, resume=True, **two())
    with pytest.raises(ValueError, match=r"has the optimizers \['distiller', 'student'\].*load_from"):
        tiny.train(other)


class Pair(nn.Module):
    """Two layers, one for each optimizer, and DDP's ``no_sync``."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 1)
        self.unsynced = 0

    def forward(self, x):
        return self.b(self.a(x)).square().mean()

    @contextlib.contextmanager
    def no_sync(self):
        self.unsynced += 1
        yield


def pair(wrapper=OptimWrapper, **kwargs):
    torch.manual_seed(0)
    model = Pair()
    optimizers = (
        torch.optim.SGD(model.a.parameters(), lr=0.1),
        torch.optim.AdamW(model.b.parameters(), lr=0.1),
    )
    clips = dict(max_norm=0.1), None
    return model, [
        wrapper(optimizer=optimizer, clip_grad=clip, **kwargs) for optimizer, clip in zip(optimizers, clips)
    ]


def by_hand(inputs, every):
    """Train ``Pair`` with plain torch, an update after ``every`` losses."""
    model, wrappers = pair()
    for start in range(0, len(inputs), every):
        part = inputs[start : start + every]
        for x in part:
            (model(x) / len(part)).backward()
        nn.utils.clip_grad_norm_(model.a.parameters(), 0.1)
        for wrapper in wrappers:
            wrapper.optimizer.step()
            wrapper.optimizer.zero_grad()
    return model


def run(joint, model, inputs):
    joint.initialize_count_status(model, 0, len(inputs))
    for x in inputs:
        with joint.optim_context(model):
            loss = model(x)
        joint.update_params(loss)


@pytest.mark.parametrize('every', [1, 2, 3])
def test_accumulates_like_plain_torch(every):
    """Also where the last update has fewer losses."""
    inputs = torch.randn(7, 5, 3).unbind()
    model, (a, b) = pair(accumulative_counts=every)
    joint = JointOptimWrapper(a=a, b=b)
    run(joint, model, inputs)
    for ours, theirs in zip(model.parameters(), by_hand(inputs, every).parameters()):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
    assert joint.inner_count == 7
    assert model.unsynced == 7 - -(-7 // every)


def test_wrappers_that_cannot_work_together():
    class Other(OptimWrapper):
        pass

    model, (a, b) = pair()
    with pytest.raises(ValueError, match="got {'a': 'OptimWrapper', 'b': 'Other'}"):
        JointOptimWrapper(a=a, b=Other(torch.optim.SGD(model.b.parameters(), lr=0.1)))
    b._accumulative_counts = 3
    with pytest.raises(
        ValueError, match="accumulative_counts must be the same for all, got {'a': 1, 'b': 3}"
    ):
        JointOptimWrapper(a=a, b=b)


@pytest.fixture
def amp(monkeypatch):
    """mmengine's AmpOptimWrapper, which refuses the CPU, with torch's scaler for the CPU."""
    import mmengine.optim.optimizer.amp_optimizer_wrapper as module

    monkeypatch.setattr(module, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(module, 'GradScaler', lambda **kwargs: torch.amp.GradScaler('cpu', **kwargs))
    return module.AmpOptimWrapper


def test_mixed_precision_scales_once(amp):
    inputs = torch.randn(6, 5, 3).unbind()
    model, (a, b) = pair(amp, loss_scale=dict(init_scale=1024.0, growth_interval=4), accumulative_counts=1)
    joint = JointOptimWrapper(a=a, b=b)
    joint.initialize_count_status(model, 0, 6)
    for x in inputs:
        joint.update_params(model(x))
    scaler = a.loss_scaler
    assert scaler is b.loss_scaler
    # grown once, after four steps: two updates a step would have grown it three times
    assert scaler.get_scale() == 2048.0
    for ours, theirs in zip(model.parameters(), by_hand(inputs, 1).parameters()):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    saved = joint.state_dict()
    _, (c, d) = pair(amp, loss_scale=dict(init_scale=1.0))
    again = JointOptimWrapper(a=c, b=d)
    again.load_state_dict(copy.deepcopy(saved))
    assert d.loss_scaler is c.loss_scaler and c.loss_scaler.get_scale() == 2048.0


def test_an_overflow_skips_the_step_and_halves_the_scale_once(amp):
    model, (a, b) = pair(amp, loss_scale=dict(init_scale=1024.0))
    joint = JointOptimWrapper(a=a, b=b)
    before = copy.deepcopy(model.state_dict())
    joint.update_params(model(torch.full((5, 3), 1e30)))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert a.loss_scaler.get_scale() == 512.0
    assert all(p.grad is None for p in model.parameters())


def test_a_frozen_student_in_mixed_precision(amp):
    """The scaler has nothing to look at there."""
    model, (a, b) = pair(amp, loss_scale=dict(init_scale=1024.0))
    model.a.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    JointOptimWrapper(a=a, b=b).update_params(model(torch.randn(5, 3)))
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(name.startswith('b.') for name in changed)


def test_what_belongs_to_neither_part_is_not_left_untrained():
    model = tiny.build(tiny_cls.distiller())
    model.extra = nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match="'extra'.* train and are neither"):
        build_optim_wrapper(model, dict(constructor=NAME, optimizer=ADAMW, distiller=dict(optimizer=ADAMW)))
    model.extra.requires_grad_(False)
    build_optim_wrapper(model, dict(constructor=NAME, optimizer=ADAMW, distiller=dict(optimizer=ADAMW)))


def test_parameters_with_the_same_settings_are_one_group(monkeypatch):
    """And train as the groups of one parameter do that mmengine makes."""

    def train():
        model = tiny.build(tiny_cls.distiller()).train()
        own = dict(optimizer=ADAMW, paramwise_cfg=dict(norm_decay_mult=0.0, flat_decay_mult=0.0))
        sgd = dict(type='SGD', lr=0.05)
        wrapper = build_optim_wrapper(model, dict(optimizer=sgd, constructor=NAME, distiller=own))
        for _ in range(2):
            loss, _ = model.parse_losses(model(**tiny_cls.batch(model), mode='loss'))
            wrapper.update_params(loss)
        groups = wrapper['distiller'].optimizer.param_groups
        return model.state_dict(), {group['weight_decay']: len(group['params']) for group in groups}, groups

    merged, sizes, groups = train()
    assert len(groups) == 2 and set(sizes) == {0.0, ADAMW['weight_decay']}
    module = 'dpk_mm.engine.optim.distill_optim_wrapper_constructor'
    monkeypatch.setattr(f'{module}.merge_groups', lambda optimizer: None)
    plain, _, groups = train()
    assert len(groups) == sum(sizes.values())
    assert_equal(merged, plain)
