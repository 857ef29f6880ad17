"""MGD against its formula with loops, and what its mask depends on."""

import numpy as np
import pytest
import tiny
import tiny_cls
import torch
from mmengine.logging import MessageHub
from mmengine.runner.checkpoint import get_state_dict

from dpk_mm.models import DistillStage, MGDLoss
from dpk_mm.registry import MODELS


def maps(batch=2, channels=3, height=4, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, channels, height, width, generator=generator)


def loss_of(channels=3, seed=0, **kwargs):
    torch.manual_seed(seed)
    return MGDLoss(channels, **kwargs)


def convolve(feat, weight, bias):
    """A 3x3 convolution of one map (C, H, W), zeros around it, number by number."""
    channels, height, width = feat.shape
    padded = np.pad(feat, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(weight), height, width))
    for o in range(len(weight)):
        for i in range(height):
            for j in range(width):
                out[o, i, j] = (weight[o] * padded[:, i : i + 3, j : j + 3]).sum() + bias[o]
    return out


def by_hand(loss, student, teacher, kept):
    weights = {key: value.double().numpy() for key, value in loss.generation.state_dict().items()}
    total = 0.0
    for s, t, keep in zip(student.double().numpy(), teacher.double().numpy(), kept.numpy()):
        hidden = np.maximum(convolve(s * keep, weights['0.weight'], weights['0.bias']), 0)
        total += ((t - convolve(hidden, weights['2.weight'], weights['2.bias'])) ** 2).sum()
    return total / len(student)


@pytest.mark.parametrize('mask, shape', [('positions', (2, 1, 4, 5)), ('channels', (2, 3, 1, 1))])
@pytest.mark.parametrize('mask_ratio', [0, 0.45])
def test_by_hand(mask, shape, mask_ratio):
    student, teacher = maps()
    loss = loss_of(mask=mask, mask_ratio=mask_ratio, loss_weight=0.3)
    kept = loss.kept(student)
    assert kept.shape == shape and kept.dtype == torch.bool
    assert kept.all() if mask_ratio == 0 else not kept.all()
    expected = 0.3 * by_hand(loss, student, teacher, kept)
    assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('mask_ratio', [0.15, 0.65])
@pytest.mark.parametrize('mask, shape', [('positions', (4, 1, 60, 60)), ('channels', (40, 400, 1, 1))])
def test_the_ratio_is_what_is_hidden(mask, shape, mask_ratio):
    kept = MGDLoss(1, mask=mask, mask_ratio=mask_ratio).kept(torch.zeros(shape))
    assert kept.float().mean().item() == pytest.approx(1 - mask_ratio, abs=0.02)
    assert not torch.equal(kept[0], kept[1])  # anew for every image


def test_mask_is_a_function_of_seed_iteration_rank_and_stage(monkeypatch):
    hub, feat = MessageHub.get_current_instance(), torch.zeros(2, 1, 20, 20)

    def drawn(seed=1, iteration=5, rank=0, stage='p3'):
        hub.update_info('seed', seed)
        hub.update_info('iter', iteration)
        monkeypatch.setattr('dpk_mm.utils.randomness.get_rank', lambda: rank)
        torch.manual_seed(0)  # a resumed run would not find the same
        loss = MGDLoss(1)
        loss.stage = stage
        before = torch.get_rng_state()
        kept = loss.kept(feat)
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
        assert torch.equal(loss.kept(feat), kept)
        return kept

    first = drawn()
    assert torch.equal(drawn(), first)
    for other in (dict(seed=2), dict(iteration=6), dict(rank=1), dict(stage='p4')):
        assert not torch.equal(drawn(**other), first), other


def test_the_stage_says_its_name_and_gives_the_channels():
    stage = DistillStage('p4', (1, 2, 4, 4), (1, 5, 4, 4), dict(type='dpk_mm.MGDLoss'))
    assert stage.loss.stage == 'p4' and stage.loss.generation[0].weight.shape == (5, 5, 3, 3)
    assert isinstance(stage.adapter, torch.nn.Conv2d)  # the alignment of the paper


def test_gradient_reaches_the_student_where_it_is_kept_and_the_network():
    student, teacher = maps()
    loss = loss_of(mask='channels', mask_ratio=0.5)
    student.requires_grad_()
    loss(student, teacher).backward()
    reached = student.grad.abs().sum(dim=(2, 3), keepdim=True) > 0
    assert torch.equal(reached, loss.kept(student)) and reached.any() and not reached.all()
    assert all(parameter.grad.any() for parameter in loss.parameters())


def test_a_loss_cast_with_its_model_still_works():
    student, teacher = maps().bfloat16()
    value = loss_of().bfloat16()(student, teacher)
    assert value.dtype == torch.float32 and value.isfinite()


@pytest.mark.parametrize('mask_ratio', [-0.1, 1, 1.5])
def test_refuses_other_ratios(mask_ratio):
    with pytest.raises(ValueError, match=f'mask_ratio must be a number from 0 to below 1, got {mask_ratio}'):
        MGDLoss(3, mask_ratio=mask_ratio)


def test_refuses_other_masks():
    with pytest.raises(ValueError, match="mask must be 'positions' or 'channels', got 'images'"):
        MGDLoss(3, mask='images')


def test_defaults_are_the_authors_for_one_stage_detectors():
    loss = MODELS.build(dict(type='dpk_mm.MGDLoss', channels=3))
    assert (loss.mask, loss.mask_ratio, loss.loss_weight) == ('positions', 0.65, 2e-5)


def test_killed_and_resumed_run_ends_bit_equal(tmp_path):
    data = tiny_cls.write_cifar(tmp_path / 'data', num=12)
    stages = {
        mask: dict(at=f'backbone.layer{i}', loss=dict(type='dpk_mm.MGDLoss', mask=mask, loss_weight=1e-2))
        for i, mask in ((2, 'positions'), (3, 'channels'))
    }
    model = tiny_cls.distiller(stages=stages)
    cfg = tiny_cls.training_cfg(model, data, tmp_path / 'whole', batch_size=6)
    whole = get_state_dict(tiny.train(cfg).model)
    half = tiny_cls.training_cfg(model, data, tmp_path / 'half', batch_size=6)
    tiny.train_until_killed(half, 3)  # in the second of two epochs of two
    half.resume = True
    torch.manual_seed(99)
    resumed = tiny.train(half)
    weights = get_state_dict(resumed.model)
    assert resumed.iter == 4 and any('generation' in name for name in whole)
    assert [name for name, value in whole.items() if not torch.equal(weights[name], value)] == []
