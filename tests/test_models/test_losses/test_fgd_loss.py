import math

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

from dpk_mm.models import FGDLoss
from dpk_mm.registry import MODELS

ALL = dict(alpha_fg=0.7, beta_bg=0.3, gamma_mask=0.2, lambda_rela=0.1)
NONE = dict(alpha_fg=0, beta_bg=0, gamma_mask=0, lambda_rela=0)
BOXES = [
    [[8, 8, 40, 24], [16, 0, 24, 40], [50, 50, 64, 64]],  # two overlap, one at the border
    [],
    [[0, 0, 64, 64]],  # everything
]


def sample_of(boxes, batch_shape=(64, 64), img_shape=None, kind=torch.tensor):
    metainfo = dict(img_shape=img_shape or batch_shape)
    if batch_shape is not None:
        metainfo['batch_input_shape'] = batch_shape
    sample = DetDataSample(metainfo=metainfo)
    boxes = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    sample.gt_instances = InstanceData(bboxes=boxes if kind is torch.tensor else kind(boxes))
    return sample


def maps(batch=3, channels=4, height=8, width=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, channels, height, width, generator=generator),
        torch.randn(batch, channels, height, width, generator=generator),
    )


def loss_of(channels=4, **kwargs):
    torch.manual_seed(0)
    loss = FGDLoss(channels, **{**ALL, **kwargs})
    with torch.no_grad():  # the last layers start at zero
        for parameter in loss.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return loss


def reference_masks(boxes, shape, size):
    """Both masks of one image, box by box and position by position."""
    height, width = size
    foreground, background = np.zeros(size), np.zeros(size)
    for x1, y1, x2, y2 in boxes:
        left, right = math.floor(x1 / shape[1] * width), math.ceil(x2 / shape[1] * width)
        top, bottom = math.floor(y1 / shape[0] * height), math.ceil(y2 / shape[0] * height)
        area = (right - left + 1) * (bottom - top + 1)
        for i in range(top, min(bottom, height - 1) + 1):
            for j in range(left, min(right, width - 1) + 1):
                foreground[i, j] = max(foreground[i, j], 1 / area)
    background[foreground == 0] = 1
    if background.sum():
        background /= background.sum()
    return foreground, background


def softmax(values):
    values = np.exp(values - values.max())
    return values / values.sum()


def reference_attention(feat, temp):
    channels, height, width = feat.shape
    spatial = softmax(np.abs(feat).mean(axis=0).ravel() / temp).reshape(height, width)
    channel = softmax(np.abs(feat).mean(axis=(1, 2)) / temp)
    return height * width * spatial, channels * channel


def reference_relation(feat, weights):
    """GCNet's block: pool by attention, a bottleneck with a norm, add everywhere."""
    channels = feat.shape[0]
    flat = feat.reshape(channels, -1)
    attention = softmax(weights['conv_mask.weight'].reshape(channels) @ flat + weights['conv_mask.bias'])
    context = flat @ attention
    first, norm, last = (
        (weights[f'channel_add_conv.{i}.weight'].squeeze(), weights[f'channel_add_conv.{i}.bias'])
        for i in (0, 1, 3)
    )
    hidden = first[0] @ context + first[1]
    hidden = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5)
    hidden = np.maximum(hidden * norm[0] + norm[1].squeeze(), 0)
    return feat + (last[0] @ hidden + last[1])[:, None, None]


def reference(loss, student, teacher, boxes, shapes):
    """FGD, eq. 2 to 8, with loops, in float64: foreground, background, attention and relation."""
    weights = [
        {key: value.double().numpy() for key, value in module.state_dict().items()}
        for module in (loss.student_relation, loss.teacher_relation)
    ]
    student, teacher = student.double().numpy(), teacher.double().numpy()
    terms = np.zeros(4)
    for s, t, boxes_of_image, shape in zip(student, teacher, boxes, shapes):
        channels, height, width = t.shape
        foreground, background = reference_masks(boxes_of_image, shape, (height, width))
        spatial_t, channel_t = reference_attention(t, loss.temp)
        spatial_s, channel_s = reference_attention(s, loss.temp)
        for c in range(channels):
            for i in range(height):
                for j in range(width):
                    look = math.sqrt(spatial_t[i, j]) * math.sqrt(channel_t[c])
                    for term, mask in enumerate((foreground, background)):
                        weight = look * math.sqrt(mask[i, j])
                        terms[term] += (weight * s[c, i, j] - weight * t[c, i, j]) ** 2
        terms[2] += np.abs(spatial_s - spatial_t).sum() + np.abs(channel_s - channel_t).sum()
        relation = reference_relation(s, weights[0]) - reference_relation(t, weights[1])
        terms[3] += (relation**2).sum()
    return terms / len(student)


@pytest.mark.parametrize('weights', [ALL, *({**NONE, key: 1.0} for key in ALL)])
@pytest.mark.parametrize('temp', [0.5, 1.3])
def test_agrees_with_the_loops(weights, temp):
    loss = loss_of(temp=temp, **weights)
    student, teacher = maps()
    expected = reference(loss, student, teacher, BOXES, [(64, 64)] * 3) @ list(weights.values())
    value = loss(student, teacher, [sample_of(boxes) for boxes in BOXES])
    assert value.shape == () and value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_padded_images_and_maps_that_are_not_square():
    """Boxes are scaled by the padded batch, whatever the size of their own image."""
    loss, shape = loss_of(), (48, 80)
    student, teacher = maps(height=6, width=10)
    samples = [sample_of(boxes, shape, (40, 64)) for boxes in BOXES]
    expected = reference(loss, student, teacher, BOXES, [shape] * 3) @ list(ALL.values())
    assert loss(student, teacher, samples).item() == pytest.approx(expected, rel=1e-5)


def test_masks_by_hand():
    """A 3 x 5 map of stride 10: two boxes that overlap, a second image without any."""
    samples = [sample_of([[0, 0, 15, 9], [10, 0, 39, 25]], (30, 50)), sample_of([], (30, 50))]
    foreground, background = FGDLoss.box_masks(samples, torch.zeros(2, 1, 3, 5))
    a, b = 1 / (3 * 2), 1 / (4 * 4)  # positions 0-2 x 0-1 and 1-4 x 0-3, both ends included
    expected = torch.tensor([[a, a, a, b, b], [a, a, a, b, b], [0, b, b, b, b]])
    torch.testing.assert_close(foreground[0, 0], expected)
    assert not foreground[1].any()
    assert background[0, 0].nonzero().tolist() == [[2, 0]]
    torch.testing.assert_close(background.sum(dim=(1, 2, 3)), torch.ones(2))
    torch.testing.assert_close(background[1], torch.full((1, 3, 5), 1 / 15))


def test_an_image_full_of_foreground_has_no_background():
    foreground, background = FGDLoss.box_masks([sample_of([[0, 0, 64, 64]])], torch.zeros(1, 1, 4, 4))
    torch.testing.assert_close(foreground, torch.full((1, 1, 4, 4), 1 / 25))
    assert not background.any()


@pytest.mark.parametrize('box', [[64, 64, 64, 64], [60, 0, 64, 10], [-5, -5, 10, 10], [5, 5, 5, 5]])
def test_boxes_at_and_over_the_border(box):
    """The area counts what lies outside the map, as in the original."""
    foreground, background = FGDLoss.box_masks([sample_of([box])], torch.zeros(1, 1, 8, 8))
    left, top = (math.floor(v / 8) for v in box[:2])
    right, bottom = (math.ceil(v / 8) for v in box[2:])
    expected = torch.zeros(8, 8)
    area = (right - left + 1) * (bottom - top + 1)
    expected[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = 1 / area
    torch.testing.assert_close(foreground[0, 0], expected)
    assert background.sum().item() == pytest.approx(1)


def test_the_images_own_size_counts_where_no_batch_size_is_known():
    boxes = [[0, 0, 10, 10]]
    bare = sample_of(boxes, None, (64, 64))
    assert 'batch_input_shape' not in bare
    masks = [FGDLoss.box_masks([s], torch.zeros(1, 1, 8, 8)) for s in (bare, sample_of(boxes))]
    assert torch.equal(masks[0][0], masks[1][0])


def test_box_structures_tensors_and_integers_are_alike():
    student, teacher = maps(batch=1)
    loss = loss_of()
    tensor = sample_of(BOXES[0])
    structure = sample_of(BOXES[0], kind=HorizontalBoxes)
    integers = sample_of(BOXES[0], kind=torch.Tensor.long)
    assert not isinstance(structure.gt_instances.bboxes, torch.Tensor)
    expected = loss(student, teacher, [tensor])
    assert torch.equal(loss(student, teacher, [structure]), expected)
    assert torch.equal(loss(student, teacher, [integers]), expected)


def test_a_box_inside_out_covers_nothing():
    inverted = [sample_of([[48.0, 10.0, 40.0, 20.0]])] * 3
    student, teacher = maps()
    loss = loss_of()
    expected = loss(student, teacher, [sample_of([])] * 3)
    assert loss(student, teacher, inverted).item() == pytest.approx(expected.item())


def test_no_boxes_at_all():
    student, teacher = maps()
    loss = loss_of(**{**NONE, 'alpha_fg': 1.0})
    assert loss(student, teacher, [sample_of([])] * 3) == 0
    assert loss_of()(student, teacher, [sample_of([])] * 3).isfinite()


def test_attentions_have_mean_one():
    spatial, channel = FGDLoss(4).attention(maps()[0])
    assert spatial.shape == (3, 1, 8, 8) and channel.shape == (3, 4, 1, 1)
    torch.testing.assert_close(spatial.mean(dim=(1, 2, 3)), torch.ones(3))
    torch.testing.assert_close(channel.mean(dim=(1, 2, 3)), torch.ones(3))


def test_equal_maps_cost_nothing_but_the_relation():
    teacher = maps()[1]
    samples = [sample_of(boxes) for boxes in BOXES]
    assert loss_of(lambda_rela=0)(teacher, teacher, samples) == 0
    fresh = FGDLoss(4, **ALL)  # both relations start as identities
    assert fresh(teacher, teacher, samples).item() == pytest.approx(0, abs=1e-6)


def test_no_gradient_to_the_teacher_and_some_to_all_else():
    loss, (student, teacher) = loss_of(), maps()
    student.requires_grad_()
    teacher.requires_grad_()
    loss(student, teacher, [sample_of(boxes) for boxes in BOXES]).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    for name, parameter in loss.named_parameters():
        assert parameter.grad is not None, name


def test_autocast_leaves_the_relation_in_float32():
    loss = loss_of(**{**NONE, 'lambda_rela': 1.0})
    student, teacher = maps()
    samples = [sample_of(boxes) for boxes in BOXES]
    expected = loss(student, teacher, samples).item()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert loss(student, teacher, samples).item() == pytest.approx(expected, rel=1e-5)


def test_loss_weight_scales_and_zero_weights_are_weight_zero():
    student, teacher = maps()
    samples = [sample_of(boxes) for boxes in BOXES]
    whole, half = loss_of()(student, teacher, samples), loss_of(loss_weight=0.5)
    assert half(student, teacher, samples).item() == pytest.approx(whole.item() / 2)
    assert loss_of(**NONE).loss_weight == 0
    assert loss_of(**NONE)(student, teacher, samples) == 0
    for key in ALL:
        assert loss_of(**{**NONE, key: 1e-6}).loss_weight == 1


def test_box_masks_do_not_write_into_the_boxes():
    sample = sample_of(BOXES[0])
    before = sample.gt_instances.bboxes.clone()
    loss_of()(*maps(batch=1), [sample])
    assert torch.equal(sample.gt_instances.bboxes, before)


def test_built_from_a_config_with_the_papers_defaults():
    loss = MODELS.build(dict(type='dpk_mm.FGDLoss', channels=4))
    values = (loss.alpha_fg, loss.beta_bg, loss.gamma_mask, loss.lambda_rela, loss.temp)
    assert values == (2e-3, 2e-4, 3e-4, 5e-6, 0.5)


def test_a_loss_cast_with_its_model_still_works():
    student, teacher = (feat.bfloat16() for feat in maps())
    value = loss_of().bfloat16()(student, teacher, [sample_of(boxes) for boxes in BOXES])
    assert value.dtype == torch.float32 and value.isfinite()


def test_samples_without_boxes_are_told():
    from mmengine.structures import BaseDataElement

    feat = torch.rand(2, 4, 8, 8)
    for samples, holds in (
        ([BaseDataElement(gt_label=torch.ones(1))] * 2, r"\['gt_label'\]"),
        ([BaseDataElement(gt_instances=BaseDataElement())] * 2, r"\['gt_instances'\]"),
        (None, 'NoneType'),
    ):
        with pytest.raises(ValueError, match=f'FGDLoss needs the boxes .* a sample holds {holds}'):
            FGDLoss(4)(feat, feat, samples)
