"""The score-weighted squared error against numbers worked out with loops in float64, and on a detector."""

import math

import numpy as np
import pytest
import tiny
import torch

from dpk_mm.models import GroupStage, ScoreWeightedMSELoss


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
