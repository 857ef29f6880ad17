"""experiments/cifar100_cures: each cure does what its name says, and nothing at ratio 0."""

import pytest
import tiny
import tiny_cls
import torch
from torch.nn import functional as F

from dpk_mm.models.necks import feature_mixing_neck
from dpk_mm.registry import MODELS
from experiments.cifar100_cures.cures import TwoPassMSELoss

SIZES = dict(embed_dims=16, num_layers=1, num_heads=2)


@pytest.fixture
def maps():
    draw = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(3, 8, 7, 6, generator=draw) for _ in range(2))
    return student.requires_grad_(), teacher


def neck(kind, **settings):
    torch.manual_seed(0)
    cfg = dict(type=f'dpk_mm.{kind}', student_channels=8, teacher_channels=8, patch_size=2)
    return MODELS.build(dict(cfg, encoder=SIZES, decoder=SIZES, **settings))


def predict(kind, maps, ratio, **settings):
    return neck(kind, **settings)(*maps, ratio, torch.Generator().manual_seed(1))


def test_the_weight_is_over_the_students_share():
    losses = {}
    prior = dict(type='dpk_mm.FixedPrior', ratio=0.75)
    for kind in ('DPKDistiller', 'RatioWeightedDistiller'):
        cfg = dict(tiny_cls.distiller(), type=f'dpk_mm.{kind}')
        cfg['stages'] = {
            name: dict(stage, prior=prior) if 'neck' in stage else stage
            for name, stage in cfg['stages'].items()
        }
        model = tiny.build(cfg)
        losses[kind] = model(**tiny_cls.batch(model), mode='loss')
    plain, weighted = losses.values()
    for name in ('loss_task', 'loss_distill_logits'):
        assert weighted[name] == plain[name]
    for layer in (2, 3):
        name = f'loss_distill_backbone_layer{layer}'
        assert weighted[name].item() == pytest.approx(4 * plain[name].item(), rel=1e-5)


def test_the_loss_is_the_mean_over_the_students_tokens(maps):
    plain, predicted = (predict(kind, maps, 0.5) for kind in ('FeatureMixingNeck', 'StudentTokensNeck'))
    # at first a residual neck gives the hybrid map
    own = (predict('FeatureMixingNeck', maps, 0.5, residual=True) != maps[1]).any(dim=1)
    assert 0.3 < own.float().mean() < 0.7
    expected = (plain - maps[1]).square().mean(dim=1)[own].mean()
    assert F.mse_loss(predicted, maps[1]).item() == pytest.approx(expected.item(), rel=1e-5)


def test_two_passes_are_complementary(maps, monkeypatch):
    seen = []
    embed = feature_mixing_neck.embed
    monkeypatch.setattr(
        feature_mixing_neck, 'embed', lambda *args: seen.append(args[2].sort(dim=1).values) or embed(*args)
    )
    first, second = predict('TwoPassNeck', maps, 0.3)
    teacher1, student1, teacher2, student2 = seen
    assert torch.equal(teacher1, student2) and torch.equal(student1, teacher2)
    assert torch.equal(first, predict('FeatureMixingNeck', maps, 0.3)) and not torch.equal(first, second)


def test_the_losses_of_two_passes_add_up(maps):
    loss = TwoPassMSELoss(loss_weight=2.0)
    predictions = predict('TwoPassNeck', maps, 0.3)
    expected = 2 * sum(F.mse_loss(one, maps[1]) for one in predictions)
    assert loss(predictions, maps[1]).item() == pytest.approx(expected.item(), rel=1e-6)


def test_ratio_0_is_as_without(maps):
    plain = predict('FeatureMixingNeck', maps, 0.0)
    assert torch.allclose(predict('StudentTokensNeck', maps, 0.0), plain, atol=1e-6)
    (only,) = predict('TwoPassNeck', maps, 0.0)
    assert torch.equal(only, plain)
