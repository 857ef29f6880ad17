"""DKD and DIST against numbers worked out with loops."""

import math

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmpretrain.structures import DataSample

from dpk_mm.models import DISTLoss, DKDLoss


def softmax(values):
    values = np.exp(values - values.max())
    return values / values.sum()


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q))


def samples(labels):
    return [DataSample().set_gt_label(label) for label in labels]


def logits(batch=4, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, batch, classes, generator=generator)


def dkd_by_hand(student, teacher, labels, temperature):
    """Both parts, image by image: (labelled class, the others)."""
    target, others = 0.0, 0.0
    for s, t, y in zip(student.double().numpy(), teacher.double().numpy(), labels):
        p, q = softmax(t / temperature), softmax(s / temperature)
        target += kl((p[y], 1 - p[y]), (q[y], 1 - q[y]))
        others += kl(*(np.delete(x, y) / (1 - x[y]) for x in (p, q)))
    return np.array([target, others]) * temperature**2 / len(student)


@pytest.mark.parametrize('temperature', [0.5, 1, 4])
@pytest.mark.parametrize('weights', [(1, 8), (1, 0), (0, 1), (0.3, 0.7)])
def test_dkd_by_hand(weights, temperature):
    (student, teacher), labels = logits(), [4, 0, 2, 2]
    loss = DKDLoss(*weights, temperature=temperature, warmup_epochs=0)
    expected = dkd_by_hand(student, teacher, labels, temperature) @ weights
    assert loss(student, teacher, samples(labels)).item() == pytest.approx(expected, rel=1e-5)
    half = DKDLoss(*weights, temperature=temperature, warmup_epochs=0, loss_weight=0.5)
    assert half(student, teacher, samples(labels)).item() == pytest.approx(expected / 2, rel=1e-5)


def test_dkd_in_numbers():
    """Three classes, T = 1, teacher (1/2, 1/4, 1/4), student (1/4, 1/4, 1/2), label 0.

    Labelled class: 1/2 ln(1/2 : 1/4) + 1/2 ln(1/2 : 3/4) = ln 2 / 2 + ln(2/3) / 2 = ln(4/3) / 2.
    Others: teacher (1/2, 1/2), student (1/3, 2/3): ln(3/2) / 2 + ln(3/4) / 2 = ln(9/8) / 2.
    """
    teacher, student = (torch.tensor([p]).log() for p in ([0.5, 0.25, 0.25], [0.25, 0.25, 0.5]))
    for weights, expected in [((1, 0), math.log(4 / 3) / 2), ((0, 1), math.log(9 / 8) / 2)]:
        loss = DKDLoss(*weights, temperature=1, warmup_epochs=0)
        assert loss(student, teacher, samples([0])).item() == pytest.approx(expected, rel=1e-5)


def test_dkd_holds_kd():
    """With beta = 1 - p_y of the teacher, the two parts are the whole divergence, as the paper shows."""
    student, teacher = logits(batch=1)
    p, q = (softmax(x[0].double().numpy()) for x in (teacher, student))
    loss = DKDLoss(alpha=1, beta=1 - p[3], temperature=1, warmup_epochs=0)
    assert loss(student, teacher, samples([3])).item() == pytest.approx(kl(p, q), rel=1e-5)


def test_dkd_takes_the_label_with_the_largest_share_of_a_mixed_image():
    student, teacher = logits(batch=2)
    mixed = samples([0, 0])  # mmpretrain leaves the labels of the first image
    mixed[0].set_gt_score([0.3, 0.0, 0.7, 0.0, 0.0])
    mixed[1].set_gt_score([0.6, 0.0, 0.0, 0.0, 0.4])
    loss = DKDLoss(warmup_epochs=0)
    assert torch.equal(loss(student, teacher, mixed), loss(student, teacher, samples([2, 0])))


@pytest.mark.parametrize('epoch, share', [(None, 1 / 20), (0, 1 / 20), (4, 1 / 4), (19, 1), (200, 1)])
def test_dkd_warms_up(epoch, share):
    if epoch is not None:
        MessageHub.get_current_instance().update_info('epoch', epoch)
    args = (*logits(), samples([0, 1, 2, 3]))
    assert DKDLoss()(*args).item() == pytest.approx(share * DKDLoss(warmup_epochs=0)(*args).item())


def test_dkd_stays_finite_where_the_teacher_is_sure():
    student, teacher = torch.zeros(2, 4, requires_grad=True), torch.zeros(2, 4)
    teacher[:, 0] = 1e4
    value = DKDLoss(temperature=1, warmup_epochs=0)(student, teacher, samples([0, 1]))
    value.backward()
    assert value.isfinite() and student.grad.isfinite().all()


def test_dkd_says_what_it_needs():
    student, teacher = logits()
    unlabelled = [DataSample() for _ in range(4)]
    many = samples([[0, 1], [2], [3], [4]])
    with pytest.raises(ValueError, match='DKDLoss needs data_samples with gt_label or gt_score, got None'):
        DKDLoss()(student, teacher)
    with pytest.raises(ValueError, match='DKDLoss needs gt_label or gt_score in all data_samples'):
        DKDLoss()(student, teacher, unlabelled)
    with pytest.raises(ValueError, match='one gt_label an image, got 5 for 4 images'):
        DKDLoss()(student, teacher, many)


def test_dkd_refuses_a_negative_warm_up():
    with pytest.raises(ValueError, match='warmup_epochs must be an integer from 0 on, got -1'):
        DKDLoss(warmup_epochs=-1)


def dist_by_hand(student, teacher, temperature):
    """Both relations: (inter, intra), each 1 - the mean of numpy's correlations."""
    s, t = (np.stack([softmax(row / temperature) for row in x.double().numpy()]) for x in (student, teacher))
    relations = [
        1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(*pair)]) for pair in ((s, t), (s.T, t.T))
    ]
    return np.array(relations) * temperature**2


@pytest.mark.parametrize('temperature', [0.7, 1, 4])
@pytest.mark.parametrize('weights', [(1, 1), (1, 0), (0, 1), (2, 0.5)])
def test_dist_by_hand(weights, temperature):
    student, teacher = logits(batch=6)
    expected = dist_by_hand(student, teacher, temperature) @ weights
    value = DISTLoss(*weights, temperature=temperature)(student, teacher)
    assert value.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    half = DISTLoss(*weights, temperature=temperature, loss_weight=0.5)(student, teacher)
    assert half.item() == pytest.approx(value.item() / 2)


def test_dist_of_predictions_that_rank_alike_is_zero():
    """Correlation is blind to shift and scale: student (.3, .4, .3) of teacher (.2, .6, .2), by image."""
    teacher, student = (torch.tensor([p]).log() for p in ([0.2, 0.6, 0.2], [0.3, 0.4, 0.3]))
    assert DISTLoss(gamma=0)(student, teacher).item() == pytest.approx(0, abs=1e-5)
    opposite = torch.tensor([[0.4, 0.2, 0.4]]).log()
    assert DISTLoss(gamma=0)(opposite, teacher).item() == pytest.approx(2, abs=1e-5)


def test_dist_counts_classes_that_nobody_is_like_for_little():
    """1e-8 beside the product of the norms, as the authors' code has it.

    The third class has probabilities p (1, 2) and p (2, 1), p = 1e-4. Less their mean they are -+p/2, of norm
    p / sqrt 2, so the correlation is -(p^2 / 2) / (p^2 / 2 + 1e-8) = -1/3 instead of -1.
    """
    p = 1e-4
    rows = [[0.5 - p / 2, 0.5 - p / 2, p], [0.5 - p, 0.5 - p, 2 * p]]
    teacher, student = (torch.tensor(x, dtype=torch.float64).log() for x in (rows, rows[::-1]))
    # the first two classes: -+p/4, norm p / sqrt 8
    first = -(p**2 / 8) / (p**2 / 8 + 1e-8)
    expected = 1 - (2 * first - 1 / 3) / 3
    assert DISTLoss(beta=0)(student, teacher).item() == pytest.approx(expected, rel=2e-3)


def test_dist_of_one_image_has_a_finite_gradient():
    student, teacher = logits(batch=1)
    student.requires_grad_()
    DISTLoss()(student, teacher).backward()
    assert student.grad.isfinite().all() and student.grad.any()


@pytest.mark.parametrize('loss', [DKDLoss, DISTLoss])
@pytest.mark.parametrize('temperature', [0, -1])
def test_refuses_temperatures_that_are_not_positive(loss, temperature):
    with pytest.raises(ValueError, match=f'temperature must be a number above 0, got {temperature}'):
        loss(temperature=temperature)


def test_two_weights_of_zero_are_weight_zero():
    assert DKDLoss(alpha=0, beta=0).loss_weight == DISTLoss(beta=0, gamma=0).loss_weight == 0
    assert DKDLoss(alpha=0).loss_weight == DISTLoss(gamma=0).loss_weight == 1
