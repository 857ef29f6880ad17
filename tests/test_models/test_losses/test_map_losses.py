"""The losses on maps against numbers worked out with loops in float64."""

import math

import numpy as np
import pytest
import torch

from dpk_mm.models import ATLoss, CWDLoss, FeatureMSELoss, PKDLoss, SpatialCosineLoss, SPLoss, WKDFLoss


def maps(batch=3, student_channels=4, teacher_channels=4, height=5, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(batch, channels, height, width, generator=generator)
        for channels in (student_channels, teacher_channels)
    ]


def arrays(*feats):
    return [feat.double().numpy() for feat in feats]


def test_mse_is_the_mean_over_all_elements():
    student, teacher = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[4.0, 0.0]]]])
    assert FeatureMSELoss()(student, teacher).item() == pytest.approx((9 + 4) / 2)
    assert FeatureMSELoss(0.2)(student, teacher, ['ignored']).item() == pytest.approx(0.2 * 6.5)


def at_by_hand(student, teacher):
    total = 0.0
    batch, _, height, width = teacher.shape
    for s, t in zip(student, teacher):
        s, t = ((x**2).sum(axis=0) for x in (s, t))
        s, t = (x / math.sqrt((x**2).sum()) for x in (s, t))
        total += sum((s[i, j] - t[i, j]) ** 2 for i in range(height) for j in range(width))
    return total / (batch * height * width)


@pytest.mark.parametrize('channels', [(4, 4), (3, 7)])
def test_at_by_hand(channels):
    student, teacher = maps(3, *channels)
    expected = at_by_hand(*arrays(student, teacher))
    assert ATLoss(1.0)(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    assert ATLoss()(student, teacher).item() == pytest.approx(1000 * expected, rel=1e-5)


def test_at_in_numbers():
    """Two positions. Student's sums of squares (9, 16 + 128 = 144), teacher's (3, 4).

    Of length 1: (9, 144) / sqrt 20817 and (3, 4) / 5; the mean of two squares.
    """
    student = torch.tensor([[[[3.0, 4.0]], [[0.0, -math.sqrt(128)]]]])
    teacher = torch.tensor([[[[math.sqrt(3), 2.0]]]])
    length = math.sqrt(20817)
    expected = ((9 / length - 0.6) ** 2 + (144 / length - 0.8) ** 2) / 2
    assert ATLoss(1.0)(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def sp_by_hand(student, teacher):
    batch = len(student)
    rows = []
    for feat in (student, teacher):
        gram = np.array([[(a * b).sum() for b in feat] for a in feat])
        rows.append([row / math.sqrt((row**2).sum()) for row in gram])
    return sum(((s - t) ** 2).sum() for s, t in zip(*rows)) / batch**2


@pytest.mark.parametrize('channels', [(4, 4), (3, 7)])
def test_sp_by_hand(channels):
    student, teacher = maps(4, *channels)
    expected = sp_by_hand(*arrays(student, teacher))
    assert SPLoss(1.0)(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    assert SPLoss()(student, teacher).item() == pytest.approx(3000 * expected, rel=1e-5)


def test_sp_in_numbers():
    """Two images, the student's (1, 0) and (0, 1), the teacher's (3) and (4).

    Student: G = I. Teacher: G = ((9, 12), (12, 16)), both rows (3, 4) / 5. Squares: (1 - .6)^2 + .8^2 = .8
    and .6^2 + (1 - .8)^2 = .4; over B^2 = 4.
    """
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 2, 1, 1)
    teacher = torch.tensor([3.0, 4.0]).view(2, 1, 1, 1)
    assert SPLoss(1.0)(student, teacher).item() == pytest.approx(1.2 / 4, rel=1e-5)


def test_sp_of_one_image_is_zero():
    student, teacher = maps(1)
    value = SPLoss()(student.requires_grad_(), teacher)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6) and student.grad.isfinite().all()


@pytest.mark.parametrize('name', ['ATLoss', 'SPLoss'])
def test_a_teacher_without_activity_leaves_finite_gradients(name):
    loss = dict(ATLoss=ATLoss, SPLoss=SPLoss)[name]()
    student = torch.zeros(2, 3, 4, 4, requires_grad=True)
    loss(student, torch.zeros(2, 5, 4, 4)).backward()
    assert student.grad.isfinite().all()


def pkd_by_hand(student, teacher):
    """1 - Pearson's correlation, mean over channels."""
    pairs = zip(student.transpose(1, 0, 2, 3), teacher.transpose(1, 0, 2, 3))
    return np.mean([1 - np.corrcoef(s.ravel(), t.ravel())[0, 1] for s, t in pairs])


def test_pkd_by_hand():
    student, teacher = maps()
    expected = pkd_by_hand(*arrays(student, teacher))
    assert PKDLoss(1.0)(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    assert PKDLoss()(student, teacher).item() == pytest.approx(6 * expected, rel=1e-5)


def test_pkd_in_numbers():
    """Four positions of two images: (1, 2 | 3, 4) and (4, 3 | 2, 1): r = -1; with (1, 2 | 4, 3): r = 4/5."""
    student = torch.tensor([1.0, 2, 3, 4]).view(2, 1, 1, 2)
    for values, r in [([4.0, 3, 2, 1], -1), ([1.0, 2, 4, 3], 0.8), ([30.0, 50, 70, 90], 1)]:
        teacher = torch.tensor(values).view(2, 1, 1, 2)
        assert PKDLoss(1.0)(student, teacher).item() == pytest.approx(1 - r, abs=1e-5)


def test_pkd_is_blind_to_scale_and_shift_of_a_channel():
    student, teacher = maps()
    scale, shift = torch.tensor([3.0, 0.1, 20.0, 1.0]), torch.tensor([0.0, 5.0, -3.0, 1.0])
    other = teacher * scale[:, None, None] + shift[:, None, None]
    expected = PKDLoss()(student, teacher).item()
    assert PKDLoss()(student, other).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('shape', [(1, 3, 1, 1), (2, 3, 4, 4)])
def test_pkd_of_flat_maps_is_finite(shape):
    student = torch.zeros(shape, requires_grad=True)
    value = PKDLoss()(student, torch.full(shape, 2.0))
    value.backward()
    assert value == 0 and student.grad.isfinite().all()


def cwd_by_hand(student, teacher, temperature):
    total = 0.0
    batch, channels, *_ = teacher.shape
    for n in range(batch):
        for c in range(channels):
            p, q = (np.exp(x[n, c].ravel() / temperature) for x in (teacher, student))
            p, q = p / p.sum(), q / q.sum()
            total += (p * np.log(p / q)).sum()
    return temperature**2 * total / (batch * channels)


@pytest.mark.parametrize('temperature', [0.5, 1, 4])
def test_cwd_by_hand(temperature):
    student, teacher = maps()
    expected = cwd_by_hand(*arrays(student, teacher), temperature)
    assert CWDLoss(temperature, 1.0)(student, teacher).item() == pytest.approx(expected, rel=1e-4)
    assert CWDLoss(temperature)(student, teacher).item() == pytest.approx(10 * expected, rel=1e-4)


def test_cwd_in_numbers():
    """Two channels of two positions: teacher (1/2, 1/2) against (1/4, 3/4), and equals.

    ln 2 / 2 + ln(2/3) / 2 = ln(4/3) / 2, halved by the mean over channels.
    """
    teacher = torch.tensor([[[[0.5, 0.5]], [[0.1, 0.9]]]]).log()
    student = torch.tensor([[[[0.25, 0.75]], [[0.1, 0.9]]]]).log()
    assert CWDLoss(1.0, 1.0)(student, teacher).item() == pytest.approx(math.log(4 / 3) / 4, rel=1e-5)


def wkdf_by_hand(student, teacher):
    total = 0.0
    for s, t in zip(student.double().numpy(), teacher.double().numpy()):
        for a, b in zip(s, t):
            deviations = [math.sqrt(((x - x.mean()) ** 2).mean()) for x in (a, b)]
            total += (a.mean() - b.mean()) ** 2 + (deviations[0] - deviations[1]) ** 2
    return total / len(student)


def test_wkdf_by_hand():
    student, teacher = maps()
    student = 2 * student + 1
    expected = wkdf_by_hand(student, teacher)
    assert WKDFLoss(0.5)(student, teacher).item() == pytest.approx(expected / 2, rel=1e-5)


def test_wkdf_in_numbers():
    """One channel, (1, 3) against (0, 8): means 2 and 4, deviations 1 and 4: 4 + 9."""
    student, teacher = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[0.0, 8.0]]]])
    assert WKDFLoss()(student, teacher).item() == pytest.approx(13, rel=1e-5)


def test_wkdf_does_not_see_where_a_value_lies():
    student, teacher = maps()
    assert WKDFLoss()(student.flip(2), teacher).item() == pytest.approx(
        WKDFLoss()(student, teacher).item(), rel=1e-5
    )


def test_wkdf_of_flat_maps_has_a_finite_gradient():
    student = torch.zeros(2, 3, 4, 4, requires_grad=True)
    WKDFLoss()(student, maps(2, 3, 3, 4, 4)[1]).backward()
    assert student.grad.isfinite().all()


def test_spatial_cosine_by_hand():
    student, teacher = maps()
    s, t = (x.double().numpy() for x in (student, teacher))
    batch, _, height, width = s.shape
    cosines = [
        s[n, :, i, j] @ t[n, :, i, j] / math.sqrt((s[n, :, i, j] ** 2).sum() * (t[n, :, i, j] ** 2).sum())
        for n in range(batch)
        for i in range(height)
        for j in range(width)
    ]
    expected = 2 * (1 - np.mean(cosines))
    assert SpatialCosineLoss(2.0)(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_spatial_cosine_in_numbers():
    """Two positions: (3, 4) against (4, 3) has cosine 24/25; (1, 0) against (0, -2) has 0."""
    student = torch.tensor([[3.0, 1.0], [4.0, 0.0]]).view(1, 2, 1, 2)
    teacher = torch.tensor([[4.0, 0.0], [3.0, -2.0]]).view(1, 2, 1, 2)
    assert SpatialCosineLoss()(student, teacher).item() == pytest.approx((1 / 25 + 1) / 2, rel=1e-5)
