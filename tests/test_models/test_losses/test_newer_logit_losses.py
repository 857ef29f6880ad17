"""LSKD, NKD, WTTM and RLD against numbers worked out with loops in float64."""

import math

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from dpk_mm.models import DKDLoss, LogitsKLLoss, NKDLoss, RLDLoss, WTTMLoss
from dpk_mm.models.losses.logits import standardize_logits


def softmax(values):
    values = np.exp(values - values.max())
    return values / values.sum()


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q) if a > 0)


def samples(labels):
    return [DataSample().set_gt_label(label) for label in labels]


def logits(batch=5, classes=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, batch, classes, generator=generator)


def rows(student, teacher, labels=(3, 0, 5, 5, 1)):
    return zip(student.double().numpy(), teacher.double().numpy(), labels)


def z_score(row):
    """A row less its mean, over the root of the mean of squares, entry by entry."""
    mean = sum(row) / len(row)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row))
    return np.array([(x - mean) / (deviation + 1e-7) for x in row])


@pytest.mark.parametrize('temperature', [1, 2])
def test_standardized_kd_by_hand(temperature):
    student, teacher = logits()
    expected = np.mean(
        [
            kl(softmax(z_score(t) / temperature), softmax(z_score(s) / temperature))
            for s, t, _ in rows(student, teacher)
        ]
    )
    value = LogitsKLLoss(temperature, loss_weight=9.0, standardize=True)(student, teacher)
    assert value.item() == pytest.approx(9 * temperature**2 * expected, rel=1e-5)


@pytest.mark.parametrize('temperature', [1, 2])
def test_standardized_dkd_by_hand(temperature):
    (student, teacher), expected = logits(), np.zeros(2)
    labels = [3, 0, 5, 5, 1]
    for s, t, y in rows(student, teacher, labels):
        q, p = (softmax(z_score(z) / temperature) for z in (s, t))
        expected[0] += kl((p[y], 1 - p[y]), (q[y], 1 - q[y]))
        expected[1] += kl(*(np.delete(x, y) / (1 - x[y]) for x in (p, q)))
    loss = DKDLoss(1, 8, temperature, warmup_epochs=0, standardize=True)
    expected = temperature**2 * expected @ (1, 8) / len(student)
    assert loss(student, teacher, samples(labels)).item() == pytest.approx(expected, rel=1e-5)


def test_standardizing_in_numbers():
    """(1, 2, 6): mean 3, variance (4 + 1 + 9) / 3 = 14/3."""
    found = standardize_logits(torch.tensor([[1.0, 2.0, 6.0]]))
    expected = torch.tensor([[-2.0, -1.0, 3.0]]) / math.sqrt(14 / 3)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('loss', [LogitsKLLoss(2.0, standardize=True), DKDLoss(standardize=True)])
def test_standardized_losses_are_blind_to_scale_and_shift(loss):
    student, teacher = logits()
    labels = samples([0, 1, 2, 3, 4])
    expected = loss(student, teacher, labels).item()
    assert loss(10 * student - 3, 0.1 * teacher + 7, labels).item() == pytest.approx(expected, rel=1e-4)
    assert loss(3 * teacher + 1, teacher, labels).item() == pytest.approx(0, abs=1e-5)


def test_standardized_equal_logits_have_a_finite_gradient():
    student = torch.zeros(2, 4, requires_grad=True)
    LogitsKLLoss(2.0, standardize=True)(student, logits(2, 4)[1]).backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize('loss', [LogitsKLLoss, DKDLoss])
def test_standardize_is_a_switch(loss):
    with pytest.raises(ValueError, match="standardize must be True or False, got 'yes'"):
        loss(standardize='yes')


@pytest.mark.parametrize('temperature', [1, 3])
@pytest.mark.parametrize('gamma', [0, 1.5])
def test_nkd_by_hand(gamma, temperature):
    (student, teacher), labels, total = logits(), [3, 0, 5, 5, 1], 0.0
    for s, t, y in rows(student, teacher, labels):
        total -= softmax(t)[y] * math.log(softmax(s)[y])
        q, p = (softmax(z / temperature) for z in (s, t))
        for k in range(len(s)):
            if k != y:
                share = p[k] / (1 - p[y])
                total -= gamma * temperature**2 * share * math.log(q[k] / (1 - q[y]))
    value = NKDLoss(gamma, temperature, loss_weight=0.5)(student, teacher, samples(labels))
    assert value.item() == pytest.approx(0.5 * total / len(student), rel=1e-5)


def test_nkd_in_numbers():
    """Teacher (1/2, 1/4, 1/4), student (1/4, 1/4, 1/2), label 0.

    Label: -ln(1/4) / 2 = ln 2. Others: teacher (1/2, 1/2), student (1/3, 2/3): -(ln(1/3) + ln(2/3)) / 2.
    """
    teacher, student = (torch.tensor([p]).log() for p in ([0.5, 0.25, 0.25], [0.25, 0.25, 0.5]))
    expected = math.log(2) + 1.5 * math.log(9 / 2) / 2
    assert NKDLoss()(student, teacher, samples([0])).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('gamma', [0.2, 0.7, 1])
def test_wttm_by_hand(gamma):
    (student, teacher), total = logits(), 0.0
    for s, t, _ in rows(student, teacher):
        powered = softmax(t) ** gamma
        total += powered.sum() * kl(powered / powered.sum(), softmax(s))
    value = WTTMLoss(gamma, loss_weight=3.0)(student, teacher)
    assert value.item() == pytest.approx(3 * total / len(student), rel=1e-5)


def test_wttm_in_numbers():
    """Teacher (16, 1) / 17 to the power 1/2: (4, 1) / sqrt 17, so u = 5 / sqrt 17, shares (4/5, 1/5).

    Student (1/2, 1/2): KL = 4/5 ln(8/5) + 1/5 ln(2/5).
    """
    teacher, student = torch.tensor([[16 / 17, 1 / 17]]).log(), torch.zeros(1, 2)
    expected = 5 / math.sqrt(17) * (0.8 * math.log(1.6) + 0.2 * math.log(0.4))
    assert WTTMLoss(0.5, 1.0)(student, teacher).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('gamma', [0, -1])
def test_wttm_refuses_an_exponent_that_is_not_positive(gamma):
    with pytest.raises(ValueError, match=f'gamma must be a number above 0, got {gamma}'):
        WTTMLoss(gamma)


def rld_by_hand(student, teacher, labels, temperature):
    total = np.zeros(2)
    for s, t, y in rows(student, teacher, labels):
        q, p = (softmax(z / temperature) for z in (s, t))
        total[0] += kl((p.max(), 1 - p.max()), (q[y], 1 - q[y]))
        below = [k for k in range(len(t)) if t[k] < t[y]]
        if below:
            total[1] += kl(*(x[below] / x[below].sum() for x in (p, q)))
    return temperature**2 * total / len(student)


@pytest.mark.parametrize('temperature', [1, 4])
@pytest.mark.parametrize('weights', [(1, 8), (1, 0), (0, 1)])
def test_rld_by_hand(weights, temperature):
    """Labels that the teacher ranks first, last, and between."""
    student, teacher = logits()
    order = teacher.argsort(dim=1)
    labels = [int(order[i, rank]) for i, rank in enumerate((5, 0, 1, 3, 4))]
    expected = rld_by_hand(student, teacher, labels, temperature) @ weights
    value = RLDLoss(*weights, temperature, loss_weight=0.5)(student, teacher, samples(labels))
    assert value.item() == pytest.approx(expected / 2, rel=1e-5)


def test_rld_in_numbers():
    """Teacher (1/2, 1/4, 1/8, 1/8), label 1, student (1/4, 1/4, 1/6, 1/3), T = 1.

    Trust: (1/2, 1/2) against (1/4, 3/4): ln(4/3) / 2. Below: (1/2, 1/2) against (1/3, 2/3): ln(9/8) / 2.
    """
    teacher = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    student = torch.tensor([[1 / 4, 1 / 4, 1 / 6, 1 / 3]]).log()
    for weights, expected in [((1, 0), math.log(4 / 3) / 2), ((0, 1), math.log(9 / 8) / 2)]:
        found = RLDLoss(*weights, temperature=1)(student, teacher, samples([1]))
        assert found.item() == pytest.approx(expected, rel=1e-5)


def test_rld_is_dkd_where_the_teacher_is_right():
    student, teacher = logits()
    right = samples(teacher.argmax(dim=1).tolist())
    dkd = DKDLoss(1.0, 8.0, 4.0, warmup_epochs=0)(student, teacher, right)
    assert RLDLoss()(student, teacher, right).item() == pytest.approx(dkd.item(), rel=1e-5)
    wrong = samples(teacher.argsort(dim=1)[:, 2].tolist())
    dkd = DKDLoss(1.0, 8.0, 4.0, warmup_epochs=0)(student, teacher, wrong)
    assert abs(RLDLoss()(student, teacher, wrong) - dkd) > 1e-2


def test_rld_of_a_label_that_is_last_has_no_second_part():
    student, teacher = logits()
    student.requires_grad_()
    last = samples(teacher.argmin(dim=1).tolist())
    value = RLDLoss(alpha=0)(student, teacher, last)
    value.backward()
    assert value == 0 and not student.grad.any()


def test_two_weights_of_zero_are_weight_zero():
    assert RLDLoss(alpha=0, beta=0).loss_weight == 0 and RLDLoss(alpha=0).loss_weight == 1


@pytest.mark.parametrize('loss', [NKDLoss(), RLDLoss()])
def test_labels_may_be_a_tensor(loss):
    """As models of mmengine's own tutorials take them."""
    student, teacher = logits()
    labels = torch.tensor([3, 0, 5, 5, 1])
    assert loss(student, teacher, labels.int()) == loss(student, teacher, samples(labels.tolist()))
    with pytest.raises(
        ValueError, match=r'needs labels \(B,\) of an integer dtype, got \(5, 6\) of torch.float32'
    ):
        loss(student, teacher, teacher)


@pytest.mark.parametrize('loss', [NKDLoss, RLDLoss])
def test_losses_with_labels_say_what_they_need(loss):
    with pytest.raises(ValueError, match=f'{loss.__name__} needs data_samples with gt_label'):
        loss()(*logits())
    with pytest.raises(ValueError, match='temperature must be a number above 0, got 0'):
        loss(temperature=0)


@pytest.mark.parametrize('loss', [NKDLoss(), RLDLoss(), WTTMLoss(), LogitsKLLoss(standardize=True)])
def test_losses_stay_finite_where_the_teacher_is_sure(loss):
    student, teacher = torch.randn(2, 4, requires_grad=True), torch.zeros(2, 4)
    teacher[:, 0] = 1e4
    value = loss(student, teacher, samples([0, 1]))
    value.backward()
    assert value.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize('loss', [DKDLoss, NKDLoss, RLDLoss])
@pytest.mark.parametrize('wrong', [-1, 5, 255])
def test_labels_of_no_class_are_named(loss, wrong):
    samples = [DataSample().set_gt_label(label) for label in (0, max(wrong, 0))]
    samples[1].gt_label[:] = wrong
    with pytest.raises(ValueError, match=f'{loss.__name__} needs labels from 0 to 4, as there are 5 logits'):
        loss()(torch.zeros(2, 5), torch.zeros(2, 5), samples)
