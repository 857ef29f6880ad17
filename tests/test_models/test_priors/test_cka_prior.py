import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from dpk_mm.models import CKAPrior, SigmoidCKAPrior
from dpk_mm.models.priors import measured_prior
from dpk_mm.registry import MODELS
from dpk_mm.utils import cka_from_hsics, hsics, linear_cka, positions_as_samples

OPEN = dict(floor=0, cap=1)


def maps(batch, seed=0, size=(5, 6)):
    """Maps of which every image has its own strength, so that images and positions both relate."""
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(batch, 6, *size, generator=generator)
    student = teacher[:, :4] + torch.randn(batch, 4, *size, generator=generator)
    common = torch.randn(batch, 1, 1, 1, generator=generator)
    return student + common, teacher + common


def rows(feat):
    return positions_as_samples(feat)


@pytest.mark.parametrize('samples, batch', [('images', 4), ('images', 8), ('auto', 4), ('auto', 9)])
def test_images_are_samples(samples, batch):
    student, teacher = maps(batch)
    ratio = CKAPrior(samples, **OPEN)(student, teacher)
    assert type(ratio) is float
    assert 0 < ratio < 1  # no guard has a part in it
    assert ratio == pytest.approx(1 - linear_cka(student, teacher).item(), abs=1e-6)


@pytest.mark.parametrize('samples, batch', [('positions', 1), ('positions', 8), ('auto', 1), ('auto', 3)])
def test_positions_are_samples(samples, batch):
    student, teacher = maps(batch)
    ratio = CKAPrior(samples, **OPEN)(student, teacher)
    expected = 1 - linear_cka(rows(student), rows(teacher)).item()
    assert ratio == pytest.approx(expected, abs=1e-6)
    assert 0 < ratio < 1


def test_positions_are_subsampled_alike_in_both_maps():
    student, teacher = maps(2, size=(20, 20))
    ratio = CKAPrior('positions', max_positions=64, **OPEN)(student, teacher)
    x, y = positions_as_samples(student, 64), positions_as_samples(teacher, 64)
    assert ratio == pytest.approx(1 - linear_cka(x, y).item(), abs=1e-6)
    assert CKAPrior('positions', max_positions=64, **OPEN)(student, student) == pytest.approx(0)


def test_whole_bounds_give_floats_too():
    """A tensor made of an int has no mean, which mmengine takes of all it logs."""
    student, teacher = maps(2)
    between = 1 - linear_cka(rows(student), rows(teacher)).item()
    for floor, cap, expected in ((0, 1, between), (0, 0, 0), (1, 1, 1)):
        ratio = CKAPrior(floor=floor, cap=cap)(student, teacher)
        assert type(ratio) is float and ratio == pytest.approx(expected, abs=1e-6)


def test_floor_and_cap_hold():
    student, teacher = maps(2)
    assert CKAPrior()(teacher, teacher) == 0.15
    assert CKAPrior(floor=0.3)(teacher, 2 * teacher) == 0.3
    unrelated = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    assert CKAPrior()(unrelated, teacher) == 0.95
    assert CKAPrior(cap=0.85)(unrelated, teacher) == 0.85


@pytest.mark.parametrize('feat', [torch.ones(2, 4, 5, 6), torch.full((2, 4, 5, 6), float('nan'))])
def test_undefined_falls_back(feat):
    _, teacher = maps(2)
    assert CKAPrior(fallback=0.7)(feat, teacher) == 0.7
    assert CKAPrior(fallback=0.9, cap=0.85)(feat, teacher) == 0.85


def test_images_too_few_everywhere_fall_back():
    assert CKAPrior('images', fallback=0.6)(*maps(3)) == 0.6


def test_a_map_of_too_few_positions_falls_back():
    assert CKAPrior('auto', fallback=0.6)(*maps(3, size=(1, 1))) == 0.6


def fake_ranks(monkeypatch, others):
    """Make all_reduce add what the other ranks would send, as a sum over processes does."""
    calls = []

    def all_reduce(values, op='sum'):
        assert op == 'sum'
        assert values.shape == (3,) and values.dtype == torch.float64
        calls.append(values.clone())
        values += others

    monkeypatch.setattr(measured_prior, 'all_reduce', all_reduce)
    return calls


@pytest.mark.parametrize('samples', ['images', 'positions'])
def test_hsics_are_summed_over_ranks(monkeypatch, samples):
    (student, teacher), other = maps(4, 0), maps(4, 1)
    if samples == 'positions':
        first, second = (hsics(rows(s), rows(t)) for s, t in ((student, teacher), other))
    else:
        first, second = hsics(student, teacher), hsics(*other)
    calls = fake_ranks(monkeypatch, second)
    ratio = CKAPrior(samples, **OPEN)(student, teacher)
    assert len(calls) == 1
    assert ratio == pytest.approx(1 - cka_from_hsics(first + second).item(), abs=1e-6)


def test_a_rank_with_too_few_images_follows_the_others(monkeypatch):
    theirs = hsics(*maps(4, 1))
    calls = fake_ranks(monkeypatch, theirs)
    ratio = CKAPrior('images', **OPEN)(*maps(2))
    assert not calls[0].any()
    assert ratio == pytest.approx(1 - cka_from_hsics(theirs).item(), abs=1e-6)


def test_without_sync_nobody_is_asked(monkeypatch):
    calls = fake_ranks(monkeypatch, 1.0)
    CKAPrior(sync=False)(*maps(4))
    assert not calls


def test_half_precision_autocast_and_gradients_are_kept_out():
    student, teacher = maps(2)
    expected = CKAPrior(**OPEN)(student, teacher)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert CKAPrior(**OPEN)(student.requires_grad_(), teacher) == expected
    half = CKAPrior(**OPEN)(1000 * student.half(), 1000 * teacher.half())
    assert half == pytest.approx(expected, abs=1e-3)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize('kwargs', [dict(), dict(samples='positions')])
def test_sigmoid_prior_squeezes_the_same_cka(kwargs):
    student, teacher = maps(5)
    cka = 1 - CKAPrior(**kwargs, **OPEN)(student, teacher)
    ratio = SigmoidCKAPrior(**kwargs, **OPEN)(student, teacher)
    assert ratio == pytest.approx(1 - 1 / (1 + math.exp(-cka)))
    assert SigmoidCKAPrior(**OPEN)(teacher, teacher) == pytest.approx(0.26894, abs=1e-4)


def test_sigmoid_prior_falls_back_and_keeps_its_bounds():
    constant, teacher = torch.ones(2, 4, 5, 6), maps(2)[1]
    assert SigmoidCKAPrior(fallback=0.7)(constant, teacher) == 0.7
    assert SigmoidCKAPrior(floor=0.4)(teacher, teacher) == 0.4


@pytest.mark.parametrize('kind', ['CKAPrior', 'SigmoidCKAPrior'])
@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(samples='rows'), "'images', 'positions' or 'auto', got 'rows'"),
        (dict(max_positions=3), 'max_positions must be an integer from 4 on, got 3'),
        (dict(fallback=1.5), 'fallback must be a number from 0 to 1, got 1.5'),
        (dict(floor=-0.1), 'floor must be a number from 0 to 1, got -0.1'),
        (dict(cap=1.1), 'cap must be a number from 0 to 1, got 1.1'),
        (dict(floor=0.5, cap=0.4), 'floor=0.5, cap=0.4'),
    ],
)
def test_numbers_out_of_range_are_errors(kind, kwargs, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type=f'dpk_mm.{kind}', **kwargs))


# docs/dpk.md: ratios of ImageNet, CIFAR-100 and detection
@pytest.mark.parametrize(
    'cka, ratios',
    [
        (float('nan'), (0.8, 0.9, 0.5)),
        (-0.5, (0.95, 0.95, 0.85)),
        (0.02, (0.95, 0.95, 0.85)),
        (0.08, (0.92, 0.92, 0.85)),
        (0.12, (0.88, 0.88, 0.85)),
        (0.5, (0.5, 0.5, 0.5)),
        (0.91, (0.1, 0.15, 0.15)),
        (1.2, (0.1, 0.15, 0.15)),
    ],
)
def test_bounds_of_the_configs(cka, ratios):
    configs = Path(__file__).parents[3] / 'configs/dpk'
    places = dict(
        resnet34_resnet18_in1k='layer3', resnet56_resnet20_cifar100='layer2', retinanet_r101_r50_coco='p4'
    )
    for (name, stage), ratio in zip(places.items(), ratios):
        prior = MODELS.build(Config.fromfile(configs / f'{name}.py').model.stages[stage].prior)
        assert prior.bound(prior.from_cka(cka)) == pytest.approx(ratio)
