"""KRLoss: cases by hand, what the threshold does to the gradient, and what learns."""

import math

import pytest
import torch
from torch import nn

from dpk_mm.models import KRLoss

# Shares of four channels; their difference is (0.25, -0.05, -0.05, -0.15).
TEACHER = [0.5, 0.2, 0.2, 0.1]
STUDENT = [0.25, 0.25, 0.25, 0.25]


def build(channels=4, student=None, **kwargs):
    torch.manual_seed(0)
    return KRLoss((student or channels,) * 2, (channels,) * 3, **kwargs)


def group(shares, temperature=1.0, layers=1):
    """Maps of one position whose distribution is ``shares``; each layer (1, C, 1, 1)."""
    feat = temperature * torch.tensor([shares]).log()[:, :, None, None]
    return tuple(feat.clone().requires_grad_() for _ in range(layers))


def random_groups(channels=4, scale=1.0, seed=0):
    """Two layers of a student's, three of a teacher's, of two images."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, channels, 5, 3)
    feats = [scale * torch.randn(shape, generator=generator) for _ in range(5)]
    return tuple(feats[:2]), tuple(feats[2:])


def gradient(loss, student, teacher):
    """By the student's v, where its group is one layer of one position."""
    value = loss(student, teacher)
    return torch.autograd.grad(value, student[0])[0].flatten()


@pytest.mark.parametrize('temperature', [0.5, 1.0, 4.0])
def test_no_threshold_is_cross_entropy_less_its_least(temperature):
    loss = build(temperature=temperature, threshold=0, l1_weight=0)
    student, teacher = group(STUDENT, temperature), group(TEACHER, temperature)
    cross_entropy = -sum(t * math.log(s) for t, s in zip(TEACHER, STUDENT))
    least = -sum(t * math.log(t) for t in TEACHER)
    assert loss(student, teacher).item() == pytest.approx(cross_entropy - least, rel=1e-5)
    expected = [(s - t) / temperature for t, s in zip(TEACHER, STUDENT)]
    assert gradient(loss, student, teacher).tolist() == pytest.approx(expected, abs=1e-6)


def test_threshold_by_hand():
    """lambda = 0.4 / 4 leaves 0.15 of the first entry's difference, and -0.05 of the last's."""
    loss = build(threshold=0.4, l1_weight=0)
    student, teacher = group(STUDENT), group(TEACHER)
    expected = 0.4 * math.log(0.4 / 0.25) - 0.15 + 0.2 * math.log(0.2 / 0.25) + 0.05
    assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    # p sum(S) - S, where S = (0.15, 0, 0, -0.05)
    expected = [0.025 - 0.15, 0.025, 0.025, 0.025 + 0.05]
    assert gradient(loss, student, teacher).tolist() == pytest.approx(expected, abs=1e-6)


def test_l1_by_hand():
    with_l1, without = build(threshold=0.4, l1_weight=0.5), build(threshold=0.4, l1_weight=0)
    student, teacher = group(STUDENT), group(TEACHER)
    added = with_l1(student, teacher) - without(student, teacher)
    assert added.item() == pytest.approx(0.5 * (0.15 + 0.05), rel=1e-5)
    added = gradient(with_l1, student, teacher) - gradient(without, student, teacher)
    # 0.5 p (sum(p sign(S)) - sign(S)), where the sum is 0
    assert added.tolist() == pytest.approx([-0.125, 0, 0, 0.125], abs=1e-6)


def test_groups_are_averaged_over_layers_and_positions():
    student, teacher = random_groups()
    loss = build(temperature=0.7, threshold=0.3, l1_weight=0.2, loss_weight=3.0)
    total = 0
    for image in range(2):
        shares = []
        for feats in (student, teacher):
            v = [sum(feat[image, c].mean().item() for feat in feats) / len(feats) / 0.7 for c in range(4)]
            shares.append([math.exp(x) / sum(map(math.exp, v)) for x in v])
        for s, t in zip(*shares):
            excess = math.copysign(max(abs(t - s) - 0.3 / 4, 0), t - s)
            if excess:
                q = s + excess
                total += q * math.log(q / s) - q + s + 0.2 * abs(excess)
    assert total > 0
    assert loss(student, teacher).item() == pytest.approx(3.0 * total / 2, rel=1e-4)


def test_layers_of_other_sizes():
    """A map counts as much as any other, whatever its size."""
    student, teacher = random_groups()
    larger = tuple(feat.repeat_interleave(i + 1, dim=2) for i, feat in enumerate(student))
    loss = build()
    torch.testing.assert_close(loss(larger, teacher), loss(student, teacher))


@pytest.mark.parametrize('base', [0.0, 3.0])  # even shares, and one near 1, whose logarithm is rounded most
@pytest.mark.parametrize('l1_weight', [0, 1.0])
def test_all_within_the_threshold_is_exactly_zero_with_exactly_no_gradient(l1_weight, base):
    (student, teacher), bias = random_groups(channels=64), base * torch.arange(64.0)[:, None, None]
    student = tuple((0.001 * feat + bias).requires_grad_() for feat in student)
    teacher = tuple(0.001 * feat + bias for feat in teacher)
    value = build(64, threshold=0.1, l1_weight=l1_weight)(student, teacher)
    value.backward()  # a loss without a graph would be an unused stage to data-parallel training
    assert value == 0
    assert all(feat.grad is not None and not feat.grad.any() for feat in student)
    assert build(64, threshold=0, l1_weight=l1_weight)(student, teacher) != 0  # or rounding below zero


def test_the_threshold_is_a_multiple_of_the_even_share():
    """Entries that differ by a tenth of 1 / C are let be at 0.11 and not at 0.09, at any width."""
    for channels in (4, 512):
        shares = torch.full((channels,), 1 / channels)
        teacher = shares.clone()
        teacher[:2] += torch.tensor([0.1, -0.1]) / channels
        student, teacher = group(shares.tolist()), group(teacher.tolist())
        assert build(channels, threshold=0.11)(student, teacher) == 0
        assert build(channels, threshold=0.09)(student, teacher) > 0


@pytest.mark.parametrize('threshold', [0, 0.4])
def test_what_is_too_small_rises_and_what_is_too_large_falls(threshold):
    """Cross-entropy over the entries beyond the threshold alone would raise both."""
    step = -gradient(build(threshold=threshold), group(STUDENT), group(TEACHER))
    assert step[0] > 0 > step[3]
    # one entry is too large, and none of the others is beyond the threshold
    teacher = [0.1, 0.3, 0.3, 0.3]
    step = -gradient(build(threshold=0.4), group(STUDENT), group(teacher))
    assert step[0] < 0 < step[1]


def test_the_cross_entropy_begins_smoothly_at_the_threshold():
    loss, teacher = build(threshold=0.4, l1_weight=0), group([0.35 + 1e-4, 0.25, 0.25, 0.15 - 1e-4])
    assert 0 < gradient(loss, group(STUDENT), teacher).abs().max() < 2e-4


def test_descent_ends_within_the_threshold():
    student, teacher = random_groups(seed=1)
    student = tuple(feat.requires_grad_() for feat in student)
    loss = build(threshold=0.2, l1_weight=0)
    optimizer = torch.optim.SGD(student, lr=50.0)
    first = loss(student, teacher).item()
    for _ in range(300):
        optimizer.zero_grad()
        value = loss(student, teacher)
        value.backward()
        optimizer.step()
    assert first > 1e-3 and value < 1e-6
    shares = [torch.stack([f.mean((2, 3)) for f in feats]).mean(0).softmax(1) for feats in (student, teacher)]
    # at the edge, not at the teacher
    assert 0.9 * 0.2 / 4 < (shares[0] - shares[1]).abs().max() < 1.1 * 0.2 / 4


def test_the_teacher_gets_no_gradient_and_no_weights():
    student, teacher = random_groups()
    teacher = tuple(feat.requires_grad_() for feat in teacher)
    student = tuple(feat.requires_grad_() for feat in student)
    loss = build()
    loss(student, teacher).backward()
    assert all(feat.grad is None for feat in teacher) and all(feat.grad.any() for feat in student)
    assert list(loss.parameters()) == []


def test_another_width_goes_through_one_convolution_of_the_students():
    (student, teacher), loss = random_groups(), build(student=3, threshold=0)
    student = tuple(feat[:, :3] for feat in student)
    assert {name: tuple(p.shape) for name, p in loss.named_parameters()} == {
        'align.weight': (4, 3), 'align.bias': (4,)
    }  # fmt: skip
    loss(student, teacher).backward()
    assert all(p.grad.any() for p in loss.parameters())
    # the same convolution on each map, as if it had come first
    conv = nn.Conv2d(3, 4, 1)
    conv.weight.data, conv.bias.data = loss.align.weight[:, :, None, None].data, loss.align.bias.data
    expected = build(threshold=0)(tuple(conv(feat) for feat in student), teacher)
    torch.testing.assert_close(loss(student, teacher), expected)


@pytest.mark.parametrize('width', [3, 4])
@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_compared_in_float32(dtype, autocast, width):
    student, teacher = (tuple(feat.to(dtype) for feat in feats) for feats in random_groups(scale=300))
    student, loss = tuple(feat[:, :width] for feat in student), build(student=width, temperature=50.0)
    expected = loss(*(tuple(feat.float() for feat in feats) for feats in (student, teacher)))
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
        value = loss(tuple(feat.requires_grad_() for feat in student), teacher)
    assert value.dtype == torch.float32 and value > 0
    torch.testing.assert_close(value, expected)


def test_shares_too_small_for_a_float_are_zero_and_finite():
    student = group([1, 1e-30, 1e-30, 1e-30], temperature=100.0)
    for shares in ([1e-30, 1, 1e-30, 1e-30], [0.25] * 4):
        value = build(threshold=0.1)(student, group(shares, temperature=100.0))
        assert value.isfinite() and value > 0
        assert torch.autograd.grad(value, student)[0].isfinite().all()


def test_loss_weight():
    feats = random_groups()
    whole, half, none = (build(loss_weight=weight)(*feats).item() for weight in (1.0, 0.5, 0.0))
    assert half == pytest.approx(whole / 2, rel=1e-6) and none == 0 < whole


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(temperature=0), 'temperature must be a number above 0, got 0'),
        (dict(threshold=-0.1), 'threshold must be a number from 0 on, got -0.1'),
        (dict(l1_weight=-1), 'l1_weight must be a number from 0 on, got -1'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_a_model_cast_to_half_precision(dtype):
    """Its weights are cast along; the comparison still is in float32."""
    student, teacher = random_groups(8)
    student = tuple(feat[:, :4] for feat in student)
    loss = build(8, student=4)
    expected = loss(student, teacher).item()
    student, teacher = (tuple(feat.to(dtype) for feat in feats) for feats in (student, teacher))
    value = loss.to(dtype)(student, teacher)
    assert value.dtype == torch.float32 and value.item() == pytest.approx(expected, rel=0.05)
