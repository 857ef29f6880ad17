"""Stages between maps of different sizes; the rest is tested through ``DPKDistiller``."""

import pytest
import tiny_cls
import torch
import torch.nn.functional as F

from dpk_mm.models import DistillStage

MSE = dict(type='dpk_mm.FeatureMSELoss')


def test_smaller_student_map_is_resized():
    stage = DistillStage('s', (1, 3, 4, 4), (1, 3, 8, 8), MSE)
    student, teacher = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 8, 8)
    loss = stage(*stage.align(student, teacher))['loss_distill_s']
    resized = F.interpolate(student, size=(8, 8), mode='bilinear', align_corners=True)
    torch.testing.assert_close(loss, F.mse_loss(resized, teacher))
    loss.backward()
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize('size', [(2, 2), (5, 7), (16, 16)])
def test_a_neck_takes_the_resized_map(size):
    stage = DistillStage('s', (1, 3, *size), (1, 6, 8, 8), MSE, neck=tiny_cls.NECK)
    maps = stage.align(torch.randn(6, 3, *size), torch.randn(6, 6, 8, 8))
    assert maps[0].shape == (6, 3, 8, 8)
    values = stage(*maps, ratio=0.5)
    assert torch.isfinite(values['loss_distill_s']) and values['ratio_s'] == 0.5


def test_resizing_follows_the_teacher_at_other_sizes():
    """The shapes of the dry run only say that the strides differ."""
    stage = DistillStage('s', (1, 3, 4, 4), (1, 3, 8, 8), MSE)
    values = stage(*stage.align(torch.randn(2, 3, 5, 6), torch.randn(2, 3, 10, 11)))
    assert torch.isfinite(values['loss_distill_s'])


@pytest.mark.parametrize('size, warns', [((4, 4), 1), ((8, 8), 0)])
def test_resizing_is_said_at_build_and_not_in_a_step(size, warns, warnings_logged):
    stage = DistillStage('p4', (1, 3, *size), (1, 5, 8, 8), MSE)
    assert len(warnings_logged) == warns
    if warns:
        shapes = "the student's is (1, 3, 4, 4), the teacher's (1, 5, 8, 8)"
        assert warnings_logged[0].startswith(f'p4: {shapes}; ')
    stage(*stage.align(torch.randn(2, 3, *size), torch.randn(2, 5, 8, 8)))
    assert len(warnings_logged) == warns


@pytest.mark.parametrize('neck', [None, tiny_cls.NECK])
def test_sizes_that_differ_only_later_are_resized_too(neck):
    """Strides that agree at the size of the dry run may round otherwise at another, even to 1x1."""
    stage = DistillStage('s', (1, 3, 8, 8), (1, 6, 8, 8), MSE, neck=neck)
    seen = []
    stage.loss.register_forward_pre_hook(lambda module, args: seen.append((args[0].shape, args[1].shape)))
    stage(*stage.align(torch.randn(6, 3, 1, 1), torch.randn(6, 6, 4, 5)), ratio=0.5)
    assert seen == [((6, 6, 4, 5), (6, 6, 4, 5))]


@pytest.mark.parametrize('weight', [0.0, 1.0])
def test_no_gradient_inside_no_grad(weight):
    stage = DistillStage('s', (1, 3, 4, 4), (1, 5, 4, 4), dict(MSE, loss_weight=weight))
    feats = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 5, 4, 4)
    with torch.no_grad():
        assert not stage(*feats)['loss_distill_s'].requires_grad
    assert stage(*feats)['loss_distill_s'].requires_grad == (weight > 0)


def test_few_tokens_are_told_once(warnings_logged):
    neck = dict(type='dpk_mm.FeatureMixingNeck', patch_size=4, preset='lean')
    loss = dict(type='dpk_mm.FeatureMSELoss')
    stage = DistillStage('p4', torch.Size((1, 8, 50, 84)), torch.Size((1, 8, 50, 84)), loss, neck)
    maps = torch.rand(2, 8, 10, 10)
    for _ in range(2):
        stage(maps, maps, ratio=0.5)
    expected = 'p4: the neck sees 3 x 3 tokens of a map of (10, 10), as its patch_size is 4'
    assert [expected in text for text in warnings_logged] == [True]


def test_a_prior_that_wants_the_same_channels_says_so_at_build():
    neck, prior = tiny_cls.NECK, dict(type='dpk_mm.CosinePrior')
    with pytest.raises(ValueError, match='^prior: CosinePrior needs maps of the same channels'):
        DistillStage('s', (1, 3, 8, 8), (1, 6, 8, 8), MSE, neck=neck, prior=prior)
    DistillStage('s', (1, 6, 4, 4), (1, 6, 8, 8), MSE, neck=neck, prior=prior)  # is resized
