"""CrossKD: the crossing against whole heads, the loss against numbers in float64, what it refuses."""

import copy

import numpy as np
import pytest
import shrink
import tiny
import tiny_cls
import torch
from mmdet.models.losses.gfocal_loss import quality_focal_loss_tensor_target
from mmengine.hub import get_config

from dpk_mm.methods import Pair
from dpk_mm.models.losses.crosskd_loss import CrossKDLoss, decode, run_rest
from dpk_mm.registry import METHODS
from dpk_mm.utils import record

HEADS = {
    'retinanet': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'gfl': 'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
    'fcos': 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'atss': 'mmdet::atss/atss_r50_fpn_1x_coco.py',
}
PREDICTORS = {
    'RetinaHead': ('retina_cls', 'retina_reg'),
    'GFLHead': ('gfl_cls', 'gfl_reg'),
    'FCOSHead': ('conv_cls', 'conv_reg'),
    'ATSSHead': ('atss_cls', 'atss_reg'),
}


def detector(name, convs=2):
    model = shrink.detector(copy.deepcopy(get_config(HEADS[name]).model))
    model._scope_ = 'mmdet'
    model.bbox_head.update(stacked_convs=convs, num_classes=3)
    return model


def distiller(student, teacher=None, **more):
    teacher = dict(config=teacher or copy.deepcopy(student), allow_incomplete=True)
    return dict(type='dpk_mm.Distiller', method='crosskd', student=student, teacher=teacher, **more)


def built(name, **more):
    """A distiller whose teacher's predictions differ from place to place."""
    model = tiny.build(distiller(detector(name), init_student=False, **more))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.teacher.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def seen(model, batch):
    """What the stage is given: of the student and of the teacher."""
    with record(model.student, model.student_taps) as student:
        model.student(**batch, mode='loss')
    teacher = model.teacher(batch['inputs'], model.teacher_taps, batch['data_samples'])
    return [student[tap] for tap in model.student_taps], [teacher[tap] for tap in model.teacher_taps]


@pytest.mark.parametrize('name', HEADS)
def test_the_rest_of_a_head_gives_what_the_whole_gives(name):
    """The teacher's own features, on the way in at each of its convolutions."""
    model = built(name)
    head, batch = model.teacher.model.bbox_head, tiny.batch(model)
    keys = list(head.state_dict())
    levels = range(5)
    for start in (1, 2):
        taps = [f'bbox_head.{kind}_convs.{start - 1}@{level}' for kind in ('cls', 'reg') for level in levels]
        whole = [f'bbox_head[{kind}][{level}]' for kind in (0, 1) for level in levels]
        found = model.teacher(batch['inputs'], [*taps, *whole], batch['data_samples'])
        feats = [found[tap] for tap in taps]
        cls, reg, *_ = run_rest(head, feats[:5], feats[5:], start)
        for tap, pred in zip(whole, [*cls, *reg]):
            assert torch.equal(found[tap], pred), tap
    assert list(head.state_dict()) == keys and len(head.cls_convs) == 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def boxes_by_hand(head, preds):
    """Boxes of each level, image, position and anchor, by the formula of the head."""
    boxes = []
    kind = type(head).__name__
    limit = -np.log(16 / 1000)  # of the ratio of sides, in mmdet
    priors = head.prior_generator.grid_priors([pred.shape[2:] for pred in preds], device='cpu')
    for pred, prior, (stride, _) in zip(preds, priors, head.prior_generator.strides):
        anchors = head.num_base_priors
        for image in pred.detach().double().numpy():
            width = image.shape[0] // anchors
            for position in range(image.shape[1] * image.shape[2]):
                column = image.reshape(image.shape[0], -1)[:, position]
                for anchor in range(anchors):
                    p = prior[position * anchors + anchor].double().numpy()
                    x = column[anchor * width : (anchor + 1) * width]
                    if kind in ('RetinaHead', 'ATSSHead'):
                        x = x * (1 if kind == 'RetinaHead' else np.array([0.1, 0.1, 0.2, 0.2]))
                        size = p[2:] - p[:2]
                        centre, half = (
                            (p[:2] + p[2:]) / 2 + x[:2] * size,
                            size * np.exp(np.clip(x[2:], -limit, limit)) / 2,
                        )
                        boxes.append([*(centre - half), *(centre + half)])
                        continue
                    centre = p if kind == 'FCOSHead' else (p[:2] + p[2:]) / 2
                    if kind == 'GFLHead':
                        shares = np.exp(x.reshape(4, -1))
                        x = stride * (shares / shares.sum(axis=1, keepdims=True)) @ np.arange(shares.shape[1])
                    boxes.append([*(centre - x[:2]), *(centre + x[2:])])
    return np.array(boxes)


def giou_by_hand(a, b):
    def area(box):
        return np.prod(np.maximum(box[:, 2:] - box[:, :2], 0), axis=1)

    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    both = area(np.concatenate([low, high], axis=1))
    union = area(a) + area(b) - both
    hull = np.concatenate([np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])], axis=1)
    return both / union - (area(hull) - union) / area(hull)


@pytest.mark.parametrize('name', HEADS)
def test_by_hand(name):
    model = built(name)
    head, (student, teacher) = model.teacher.model.bbox_head, seen(model, tiny.batch(model))
    kind = type(head).__name__
    cls, boxes = [], []
    for level in range(5):
        own, other = student[level], student[5 + level]
        for i, (cls_conv, reg_conv) in enumerate(zip(head.cls_convs, head.reg_convs)):
            if i >= 1:
                own, other = cls_conv(own), reg_conv(other)
        own, other = getattr(head, PREDICTORS[kind][0])(own), getattr(head, PREDICTORS[kind][1])(other)
        if kind != 'RetinaHead':
            other = head.scales[level](other)
        cls.append(own.detach())
        boxes.append(other.exp() if kind == 'FCOSHead' else other)
    rows = [
        np.concatenate([x.double().permute(0, 2, 3, 1).reshape(-1, 3).numpy() for x in feats])
        for feats in (cls, teacher[:5])
    ]
    p, target = sigmoid(rows[0]), sigmoid(rows[1])
    weight = target.max(axis=1)
    entropy = np.logaddexp(0, rows[0]) - target * rows[0]  # -t log p - (1 - t) log (1 - p)
    parts = [
        ((target - p) ** 2 * entropy).sum(),
        (weight * (1 - giou_by_hand(boxes_by_hand(head, boxes), boxes_by_hand(head, teacher[5:])))).sum(),
    ]
    for weights in ((1.0, 1.0), (2.0, 0.0), (0.0, 3.0)):
        loss = CrossKDLoss(
            model.teacher, [head.feat_channels] * 10, 1, cls_weight=weights[0], bbox_weight=weights[1]
        )
        expected = np.dot(weights, parts) / max(weight.sum(), 1)
        assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-4), weights
    # mmdet's own, in float64
    focal = quality_focal_loss_tensor_target(
        torch.tensor(rows[0]), torch.tensor(target), beta=2.0, reduction='sum'
    )
    assert focal.item() == pytest.approx(parts[0], rel=1e-6)


def test_boxes_are_those_that_the_head_predicts():
    """GFL's, whose decoding is a method of its own, against mmdet's prediction."""
    model = built('gfl')
    detector, batch = model.teacher.model, tiny.batch(model, num=1)
    detector.bbox_head.test_cfg.update(score_thr=0.0, nms_pre=-1, max_per_img=10**6)
    preds = detector.bbox_head(detector.extract_feat(batch['inputs']))
    metas = [dict(batch['data_samples'][0].metainfo, img_shape=(10**6, 10**6))]
    (found,) = detector.bbox_head.predict_by_feat(*preds, batch_img_metas=metas, with_nms=False)
    ours = decode(detector.bbox_head, preds[1])
    inside = ours.clamp(min=0)
    for box in found.bboxes[::500]:
        assert (inside - box).abs().amax(dim=1).min() < 1e-3


@pytest.mark.parametrize('name', tiny.slow_but(list(HEADS), 'gfl'))
def test_a_student_like_its_teacher_costs_nothing(name):
    model = built(name)
    model.student.load_state_dict(model.teacher.model.state_dict())
    model.eval()
    value = model.distiller['crosskd'].loss(*seen(model, tiny.batch(model)))
    assert value.item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize('name', tiny.slow_but(list(HEADS), 'gfl'))
def test_a_step_teaches_the_student_up_to_the_crossing_and_the_teacher_nothing(name):
    model = built(name)
    model.train()
    before = {key: value.clone() for key, value in model.teacher.state_dict().items()}
    losses = model(**tiny.batch(model), mode='loss')
    assert losses['loss_distill_crosskd'].isfinite() and losses['weight_crosskd'] > 0
    losses['loss_distill_crosskd'].backward()
    taught = {key for key, parameter in model.student.named_parameters() if parameter.grad is not None}
    head = {key for key, _ in model.student.named_parameters() if key.startswith('bbox_head')}
    crossed = {key for key in head if '_convs.0.' in key}
    assert crossed and taught & head == crossed
    assert any(key.startswith('backbone') for key in taught) and any(key.startswith('neck') for key in taught)
    assert all(torch.equal(before[key], value) for key, value in model.teacher.state_dict().items())
    assert not any(parameter.grad is not None for parameter in model.teacher.parameters())


def two_steps(model):
    torch.manual_seed(0)
    model.init_weights()
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
    batches = [tiny.batch(model, seed=seed) for seed in (0, 1)]
    for batch in batches:
        total, _ = model.parse_losses(model(**batch, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize('zero', [dict(loss_weight=0.0), dict(loss_weight=1.0, cls_weight=0, bbox_weight=0)])
def test_of_weight_zero_the_student_trains_as_alone_bit_for_bit(zero):
    alone = two_steps(tiny.build(detector('retinanet')))
    stages = dict(crosskd=dict(loss=zero))
    model = tiny.build(distiller(detector('retinanet'), init_student=False, stages=stages))
    assert model.distiller['crosskd'].is_idle and model.student_taps == model.teacher_taps == []
    ours = two_steps(model)
    assert list(ours) == list(alone) and all(torch.equal(ours[key], alone[key]) for key in alone)


def test_the_checkpoint_is_the_students_and_a_copy_shares_the_teacher():
    model = built('retinanet')
    own = [key for key in model.state_dict() if key.startswith('distiller.')]
    assert all('.auto.' in key for key in own)  # the weight that finds itself, and nothing of the teacher
    alone = tiny.build(detector('retinanet'))
    assert [key for key in model.state_dict() if key not in own] == list(alone.state_dict())
    assert copy.deepcopy(model).distiller['crosskd'].loss.teacher is model.teacher


def test_heads_of_other_depths_meet_before_their_last_convolution():
    model = tiny.build(distiller(detector('retinanet', convs=3), detector('retinanet', convs=4)))
    assert model.student_taps[0] == 'bbox_head.cls_convs.1@0' and model.distiller['crosskd'].loss.start == 3
    assert model(**tiny.batch(model), mode='loss')['loss_distill_crosskd'].isfinite()


def test_heads_of_two_kinds_meet():
    model = tiny.build(distiller(detector('retinanet'), detector('gfl')))
    assert model(**tiny.batch(model), mode='loss')['loss_distill_crosskd'].isfinite()


def test_half_precision_gives_a_loss_in_float32():
    model = built('retinanet')
    feats = seen(model, tiny.batch(model))
    loss = model.distiller['crosskd'].loss
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(*([feat.bfloat16() for feat in side] for side in feats))
    assert value.dtype == torch.float32 and value.item() == pytest.approx(loss(*feats).item(), rel=0.1)


def test_what_does_not_fit_is_one_line():
    wide, softmax, shifted = (detector('retinanet') for _ in range(3))
    wide.bbox_head.feat_channels = 16
    softmax.bbox_head.loss_cls = dict(type='CrossEntropyLoss', use_sigmoid=False)
    shifted.bbox_head.anchor_generator.strides = [4, 8, 16, 32, 64]
    yolox = shrink.detector(copy.deepcopy(get_config('mmdet::yolox/yolox_s_8xb8-300e_coco.py').model))
    yolox._scope_ = 'mmdet'
    retinanet = tiny.build(detector('retinanet'))
    for other, message in [
        (
            yolox,
            '^the heads of GFLHead, .*, RetinaHead can be crossed; the teacher has YOLOXHead$',
        ),
        (wide, '^it needs heads of one width, but they have 32 and 16 channels$'),
        (softmax, "^only scores of sigmoids can be crossed, which the teacher's RetinaHead does not give$"),
        (shifted, '^it needs heads on the same strides, but they have '),
    ]:
        with pytest.raises(ValueError, match=message):
            METHODS.get('crosskd')(Pair(retinanet, tiny.build(other), (), None, True))
    with pytest.raises(ValueError, match='the student has a ImageClassifier without bbox_head'):
        METHODS.get('crosskd')(Pair(tiny.build(tiny_cls.classifier()), retinanet, (), None, False))


def test_a_stage_of_ones_own_that_does_not_fit_is_one_line():
    teacher = built('retinanet').teacher
    for channels, start, message in [
        ([32] * 10, 9, 'start must be an integer from 1 to 2, got 9'),
        ([16] * 10, 1, "the student's head gives 16 channels and the teacher's takes 32"),
    ]:
        with pytest.raises(ValueError, match=message):
            CrossKDLoss(teacher, channels, start)
    # below 1 the gradient is infinite where both sides agree
    for beta in (0.5, 0, float('inf')):
        with pytest.raises(ValueError, match=f'beta must be a number from 1 on, got {beta}'):
            CrossKDLoss(teacher, [32] * 10, beta=beta)
