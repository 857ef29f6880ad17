"""The losses on logits against numbers worked out with loops in float64."""

import math

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmpretrain.structures import DataSample

from dpk_mm.models import DISTLoss, DKDLoss, LogitsKLLoss, NKDLoss, RLDLoss, WTTMLoss
from dpk_mm.models.losses.logits import standardize_logits


def softmax(values):
    values = np.exp(values - values.max())
    return values / values.sum()


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q) if a > 0)


def samples(labels):
    return [DataSample().set_gt_label(label) for label in labels]


def logits(batch=4, classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, batch, classes, generator=generator)


def kl_by_hand(student, teacher, temperature):
    total = 0
    for s, t in zip(student.double().numpy(), teacher.double().numpy()):
        p, q = (np.exp(z / temperature) / np.exp(z / temperature).sum() for z in (t, s))
        total += (p * np.log(p / q)).sum()
    return temperature**2 * total / len(student)


@pytest.mark.parametrize('temperature', [0.5, 1, 4])
def test_kl_by_hand(temperature):
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 5), torch.randn(3, 5)
    expected = kl_by_hand(student, teacher, temperature)
    assert LogitsKLLoss(temperature)(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    weighted = LogitsKLLoss(temperature, loss_weight=0.8)(student, teacher)
    assert weighted.item() == pytest.approx(0.8 * expected, rel=1e-5)


def test_kl_of_equals_is_zero_and_never_negative():
    logits = torch.randn(3, 5)
    assert LogitsKLLoss()(logits, logits + 7).item() == pytest.approx(0, abs=1e-6)
    assert LogitsKLLoss()(logits, torch.randn(3, 5)) > 0


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


@pytest.mark.parametrize('epochs, said', [(None, 0), (20, 0), (3, 1)])
def test_dkd_tells_of_a_warm_up_longer_than_the_training(epochs, said, warnings_logged):
    hub = MessageHub.get_current_instance()
    hub.runtime_info.pop('max_epochs', None)
    if epochs:
        hub.update_info('max_epochs', epochs)
    loss = DKDLoss()
    for _ in range(2):
        loss(*logits(), samples([0, 1, 2, 3]))
    hub.runtime_info.pop('max_epochs', None)
    assert len(warnings_logged) == said
    assert all('the loss ends at 15% of its weight' in text for text in warnings_logged)


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


def rows(student, teacher, labels=(3, 0, 5, 5, 1)):
    return zip(student.double().numpy(), teacher.double().numpy(), labels)


def z_score(row):
    """A row less its mean, over the root of the mean of squares, entry by entry."""
    mean = sum(row) / len(row)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row))
    return np.array([(x - mean) / (deviation + 1e-7) for x in row])


@pytest.mark.parametrize('temperature', [1, 2])
def test_standardized_kd_by_hand(temperature):
    student, teacher = logits(5, 6)
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
    (student, teacher), expected = logits(5, 6), np.zeros(2)
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
    student, teacher = logits(5, 6)
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
    (student, teacher), labels, total = logits(5, 6), [3, 0, 5, 5, 1], 0.0
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
    (student, teacher), total = logits(5, 6), 0.0
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
    student, teacher = logits(5, 6)
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
    student, teacher = logits(5, 6)
    right = samples(teacher.argmax(dim=1).tolist())
    dkd = DKDLoss(1.0, 8.0, 4.0, warmup_epochs=0)(student, teacher, right)
    assert RLDLoss()(student, teacher, right).item() == pytest.approx(dkd.item(), rel=1e-5)
    wrong = samples(teacher.argsort(dim=1)[:, 2].tolist())
    dkd = DKDLoss(1.0, 8.0, 4.0, warmup_epochs=0)(student, teacher, wrong)
    assert abs(RLDLoss()(student, teacher, wrong) - dkd) > 1e-2


def test_rld_of_a_label_that_is_last_has_no_second_part():
    student, teacher = logits(5, 6)
    student.requires_grad_()
    last = samples(teacher.argmin(dim=1).tolist())
    value = RLDLoss(alpha=0)(student, teacher, last)
    value.backward()
    assert value == 0 and not student.grad.any()


@pytest.mark.parametrize('loss', [NKDLoss(), RLDLoss()])
def test_labels_may_be_a_tensor(loss):
    """As models of mmengine's own tutorials take them."""
    student, teacher = logits(5, 6)
    labels = torch.tensor([3, 0, 5, 5, 1])
    assert loss(student, teacher, labels.int()) == loss(student, teacher, samples(labels.tolist()))
    with pytest.raises(
        ValueError, match=r'needs labels \(B,\) of an integer dtype, got \(5, 6\) of torch.float32'
    ):
        loss(student, teacher, teacher)


@pytest.mark.parametrize('loss', [NKDLoss, RLDLoss])
def test_losses_with_labels_say_what_they_need(loss):
    with pytest.raises(ValueError, match=f'{loss.__name__} needs data_samples with gt_label'):
        loss()(*logits(5, 6))
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


def test_two_weights_of_zero_are_weight_zero():
    assert DKDLoss(alpha=0, beta=0).loss_weight == DISTLoss(beta=0, gamma=0).loss_weight == 0
    assert DKDLoss(alpha=0).loss_weight == DISTLoss(gamma=0).loss_weight == 1
    assert RLDLoss(alpha=0, beta=0).loss_weight == 0 and RLDLoss(alpha=0).loss_weight == 1
