"""WKD-F, spatial cosine and score-weighted MSE against numbers worked out with loops in float64."""

import math

import numpy as np
import pytest
import tiny
import torch

from dpk_mm.models import GroupStage, ScoreWeightedMSELoss, SpatialCosineLoss, WKDFLoss


def maps(batch=3, channels=4, height=5, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, channels, height, width, generator=generator)


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
    WKDFLoss()(student, maps(2, 3, 4, 4)[1]).backward()
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


def score_weighted(student_channels=3, teacher_channels=4, anchors=6, seed=0):
    torch.manual_seed(seed)
    loss = ScoreWeightedMSELoss((student_channels,), (teacher_channels, anchors), loss_weight=0.5)
    student = torch.randn(2, student_channels, 5, 6)
    return loss, student, torch.randn(2, teacher_channels, 5, 6), 3 * torch.randn(2, anchors, 5, 6)


def test_score_weighted_mse_by_hand():
    loss, *feats = score_weighted()
    weights = [p.detach().double().numpy() for p in loss.align.parameters()]
    first, first_bias, second, second_bias = (x.reshape(len(x), -1) for x in weights)
    student, teacher, scores = (x.double().numpy() for x in feats)
    total = 0.0
    for n in range(2):
        for i in range(5):
            for j in range(6):
                hidden = np.maximum(first @ student[n, :, i, j] + first_bias[:, 0], 0)
                error = second @ hidden + second_bias[:, 0] - teacher[n, :, i, j]
                total += max(1 / (1 + math.exp(-score)) for score in scores[n, :, i, j]) * (error**2).sum()
    value = loss((feats[0],), tuple(feats[1:]))
    assert value.item() == pytest.approx(0.5 * total / teacher.size, rel=1e-5)


def test_score_weighted_mse_teaches_the_student_alone_and_where_objects_are():
    loss, student, teacher, scores = score_weighted()
    for feat in (student.requires_grad_(), teacher.requires_grad_(), scores.requires_grad_()):
        feat.retain_grad()
    scores.data[:, :, :, 3:] = -100  # nothing in the right half
    loss((student,), (teacher, scores)).backward()
    assert teacher.grad is None and scores.grad is None
    assert student.grad[..., :3].any() and student.grad[..., 3:].abs().max() < 1e-12


def test_score_weighted_mse_takes_half_precision_and_other_sizes():
    loss, student, teacher, scores = score_weighted()
    expected = loss((student,), (teacher, scores)).item()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss((student.bfloat16(),), (teacher.bfloat16(), scores.bfloat16()))
    assert value.dtype == torch.float32 and value.item() == pytest.approx(expected, rel=0.02)
    assert loss((student[..., :3, :3],), (teacher, scores)).isfinite()


def test_score_weighted_mse_of_other_groups_is_refused():
    shapes = [(1, 3, 8, 8)], [(1, 4, 8, 8)]
    with pytest.raises(ValueError, match='of the teacher a map and its class scores, got 1 and 1 layers'):
        GroupStage('p3', *shapes, dict(type='dpk_mm.ScoreWeightedMSELoss'))


def test_score_weighted_mse_of_weight_zero_is_idle():
    loss = dict(type='dpk_mm.ScoreWeightedMSELoss', loss_weight=0.0)
    stage = GroupStage('p3', [(1, 3, 8, 8)], [(1, 4, 8, 8), (1, 6, 8, 8)], loss)
    assert stage.is_idle and not any(parameter.requires_grad for parameter in stage.parameters())
    assert stage(None, None)['loss_distill_p3'] == 0


def test_score_weighted_mse_reads_the_scores_of_the_teachers_head():
    stage = dict(
        student_at=['neck[0]'],
        teacher_at=['neck[0]', 'bbox_head[0][0]'],
        loss=dict(type='dpk_mm.ScoreWeightedMSELoss'),
    )
    model = tiny.build(tiny.distiller(stages=dict(p3=stage)))
    batch = tiny.batch(model)
    value = model(**batch, mode='loss')['loss_distill_p3']
    teacher = model.teacher(batch['inputs'], model.teacher_taps, batch['data_samples'])
    (neck, scores), student = teacher.values(), model.student.extract_feat(batch['inputs'])[0]
    error = (model.distiller['p3'].loss.align(student) - neck).square()
    weight = scores.sigmoid().amax(dim=1, keepdim=True)
    assert value.item() == pytest.approx((weight * error).mean().item(), rel=1e-5)
