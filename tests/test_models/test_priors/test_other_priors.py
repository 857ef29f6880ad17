import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from dpk_mm.models import (
    BasePrior,
    CosinePrior,
    ExponentialPrior,
    FixedPrior,
    LinearPrior,
    UniformPrior,
)
from dpk_mm.models.priors import measured_prior, uniform_prior
from dpk_mm.registry import MODELS
from dpk_mm.utils import step_generator

FEATS = torch.rand(2, 3, 4, 4), torch.rand(2, 5, 4, 4)


@pytest.fixture(autouse=True)
def hub(request):
    hub = MessageHub.get_instance(request.node.nodeid)
    for key, value in dict(seed=1, iter=0, epoch=0, max_iters=100).items():
        hub.update_info(key, value)
    return hub


class Constant(BasePrior):
    def __init__(self, value, **kwargs):
        super().__init__(**kwargs)
        self.value = value

    def ratio(self, student_feat, teacher_feat):
        assert not torch.is_grad_enabled()
        return self.value


@pytest.mark.parametrize('value, expected', [(-0.2, 0.1), (0.1, 0.1), (0.5, 0.5), (2.0, 0.9)])
def test_every_prior_keeps_its_bounds(value, expected):
    assert Constant(value, floor=0.1, cap=0.9)(*FEATS) == expected


def test_a_ratio_that_is_no_number_falls_back():
    prior = Constant(float('nan'), fallback=0.25)
    assert prior(*FEATS) == 0.25 == prior(*FEATS)


@pytest.mark.parametrize('name', ['Cosine', 'Exponential', 'Linear', 'Uniform'])
@pytest.mark.parametrize('bounds', [dict(floor=-0.1), dict(cap=1.1), dict(floor=0.6, cap=0.5)])
def test_bounds_out_of_range_are_errors(name, bounds):
    with pytest.raises(ValueError, match='0 <= floor <= cap <= 1|must be a number from 0 to 1'):
        MODELS.build(dict(type=f'dpk_mm.{name}Prior', **bounds))


@pytest.mark.parametrize('ratio', [0, 0.3, 1])
def test_fixed(ratio):
    result = FixedPrior(ratio)(*FEATS)
    assert result == ratio and type(result) is float


@pytest.mark.parametrize('ratio', [-0.1, 1.1, float('nan')])
def test_fixed_out_of_range_is_an_error(ratio):
    with pytest.raises(ValueError, match='ratio must be a number from 0 to 1'):
        FixedPrior(ratio)


@pytest.mark.parametrize('iteration, expected', [(0, 0.95), (50, 0.475), (99, 0.0095)])
def test_linear_falls_to_zero(hub, iteration, expected):
    hub.update_info('iter', iteration)
    assert LinearPrior()(*FEATS) == pytest.approx(expected)
    assert LinearPrior(start=0.5, floor=0.2)(*FEATS) == pytest.approx(max(expected / 1.9, 0.2))


def test_linear_needs_to_know_the_end(request):
    MessageHub.get_instance(f'{request.node.nodeid} bare')
    with pytest.raises(RuntimeError, match='max_iters'):
        LinearPrior()(*FEATS)


@pytest.mark.parametrize('epoch', [0, 1, 50])
def test_exponential_falls_by_epoch(hub, epoch):
    hub.update_info('epoch', epoch)
    hub.update_info('iter', 7)
    ratio = ExponentialPrior(cap=1)(*FEATS)
    assert ratio == pytest.approx(0.99**epoch) and type(ratio) is float
    assert ExponentialPrior(base=0.5, cap=0.7)(*FEATS) == pytest.approx(min(0.5**epoch, 0.7))


@pytest.mark.parametrize(
    'kind, kwargs',
    [
        (LinearPrior, dict(start=1.5)),
        (LinearPrior, dict(start=-0.5)),
        (ExponentialPrior, dict(base=1.5)),
        (ExponentialPrior, dict(base=-0.5)),
    ],
)
def test_schedules_out_of_range_are_errors(kind, kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        kind(**kwargs)


def uniform(stage='neck_3', **kwargs):
    prior = UniformPrior(**kwargs)
    prior.stage = stage
    return prior(*FEATS)


def test_uniform_is_a_function_of_seed_step_and_stage(hub):
    first = uniform()
    assert type(first) is float
    assert uniform() == first
    assert uniform('neck_2') != first
    hub.update_info('iter', 1)
    assert uniform() != first
    hub.update_info('iter', 0)
    hub.update_info('seed', 2)
    assert uniform() != first


def test_uniform_is_alike_on_all_ranks(monkeypatch):
    # with randomness.diff_rank_seed even the seeds differ: the first rank's draw is everybody's
    first = uniform(floor=0.2, cap=0.6)
    draw = (first - 0.2) / 0.4
    monkeypatch.setattr(uniform_prior, 'get_rank', lambda: 1)
    monkeypatch.setattr(measured_prior, 'all_reduce', lambda values: values.add_(draw))
    assert uniform(floor=0.2, cap=0.6) == pytest.approx(first)


def test_uniform_fills_its_range(hub):
    drawn = []
    for iteration in range(500):
        hub.update_info('iter', iteration)
        drawn.append(uniform(floor=0.2, cap=0.6))
    assert min(drawn) >= 0.2 and max(drawn) <= 0.6
    assert np.mean(drawn) == pytest.approx(0.4, abs=0.02)
    assert np.std(drawn) == pytest.approx(0.4 / 12**0.5, abs=0.01)


def test_uniform_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    uniform()
    assert torch.equal(torch.get_rng_state(), state)


def test_uniform_is_no_draw_of_the_mask(hub):
    """Ratio and mask of a stage come from different numbers."""
    mask = torch.rand((), generator=step_generator('neck_3')).item()
    assert uniform() != mask


def test_cosine_by_hand():
    """Of each channel over its positions: cosines 1, 0 and 1 / sqrt(2)."""
    student = torch.tensor([[1.0, 0], [1, 0], [1, 1]]).view(1, 3, 1, 2)
    teacher = torch.tensor([[2.0, 0], [0, 5], [3, 0]]).view(1, 3, 1, 2)
    ratio = CosinePrior(cap=1)(student, teacher)
    assert ratio == pytest.approx(1 - (1 + 0 + 0.5**0.5) / 3) and type(ratio) is float
    assert CosinePrior(cap=1)(student, -teacher) == 1
    assert CosinePrior(floor=0.2)(student, student) == 0.2


def test_cosine_is_the_mean_over_ranks(monkeypatch):
    """1 here, 0.5 and 0 on two others."""
    others = torch.tensor([0.5, 2.0], dtype=torch.float64)
    monkeypatch.setattr(measured_prior, 'all_reduce', lambda values: values.add_(others))
    assert CosinePrior(cap=1)(FEATS[0], FEATS[0]) == pytest.approx(0.5)


def test_cosine_of_half_precision_does_not_overflow():
    feat = torch.full((2, 3, 4, 4), 3e4).half()
    assert CosinePrior(cap=1)(feat, feat) == pytest.approx(0, abs=1e-5)


def test_cosine_refuses_other_channels():
    with pytest.raises(ValueError, match=r'\(2, 3, 4, 4\) and \(2, 5, 4, 4\)'):
        CosinePrior(cap=1)(*FEATS)
