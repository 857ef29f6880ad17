"""Students and teachers that have little in common."""

import pytest
import shrink
import tiny
import torch
from mmengine.hub import get_config

FGD = dict(tiny.FGD, alpha_fg=0.1, beta_bg=0.1, gamma_mask=0.1, lambda_rela=0.1)


def published(config):
    """The model of one of mmdet's configs, made small."""
    cfg = get_config(config)
    cfg.model._scope_ = 'mmdet'
    return shrink.detector(cfg.model)


def step(cfg, **batch):
    """One step of a distiller, checked: its losses."""
    model = tiny.build(cfg)
    model.init_weights()
    model.train()
    losses = model(**tiny.batch(model, **batch), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert all(torch.isfinite(losses[f'loss_distill_{name}']) for name in model.distiller)
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    return losses


def pair(student_at, teacher_at, neck=True):
    parts = dict(neck=tiny.NECK, prior=dict(type='dpk_mm.CKAPrior', samples='positions')) if neck else {}
    return dict(student_at=student_at, teacher_at=teacher_at, loss=FGD, **parts)


@pytest.mark.parametrize('neck', [True, False])
def test_other_width_of_the_pyramid(neck):
    teacher = dict(config=tiny.retinanet(depth=50, channels=16), allow_incomplete=True)
    step(tiny.distiller(teacher=teacher, stages=dict(p3=pair('neck[0]', 'neck[0]', neck))))


@pytest.mark.parametrize('neck', [True, False])
@pytest.mark.parametrize('levels', [(0, 1), (1, 0), (2, 0)])
def test_other_strides_are_resized_and_the_log_says_so_once(levels, neck, warnings_logged):
    stages = dict(one=pair(f'neck[{levels[0]}]', f'neck[{levels[1]}]', neck))
    step(tiny.distiller(stages=stages), size=(101, 83))
    (said,) = (text for text in warnings_logged if 'resized' in text)
    sizes = [256 // 8 // 2**level for level in levels]
    assert f"the student's is (1, 8, {sizes[0]}, {sizes[0]}), the teacher's (1, 8, {sizes[1]}" in said
    assert 'resized to the height and width of the teacher' in said


TEACHERS = {
    'two-stage': ('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', {}),
    'transformer': ('mmdet::swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py', {}),
    # BGR without normalisation, padded to multiples of 32, three levels
    'yolox': ('mmdet::yolox/yolox_s_8xb8-300e_coco.py', {}),
    # its neck needs multiples of 32, and its preprocessor does not say so
    'pafpn': ('mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py', dict(pad_size_divisor=32)),
    'detr': ('mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py', {}),
}


@pytest.mark.parametrize('kind', TEACHERS)
def test_teacher_of_another_kind(kind):
    """Sizes that fit neither, for a RetinaNet student."""
    config, options = TEACHERS[kind]
    first = 1 if kind == 'two-stage' else 0  # its pyramid begins at P2
    stages = {f'p{i + 3}': pair(f'neck[{i}]', f'neck[{i + first}]', neck=bool(i)) for i in range(3)}
    teacher = dict(config=published(config), allow_incomplete=True, **options)
    student = tiny.retinanet(pad_size_divisor=1)
    step(tiny.distiller(student, teacher, stages=stages), size=(101, 75), num=1)


def test_teacher_of_another_kind_beside_a_tiled_student():
    """The reverse: YOLOX, whose preprocessor pads to 32, learns from a RetinaNet."""
    student = published('mmdet::yolox/yolox_s_8xb8-300e_coco.py')
    student.data_preprocessor.pop('batch_augments')
    stages = {f'p{i + 3}': pair(f'neck[{i}]', f'neck[{i}]', neck=bool(i)) for i in range(3)}
    step(tiny.distiller(student=student, stages=stages), size=(101, 75))


def test_a_deeper_tap_of_a_detr_teacher_sees_the_padded_shape():
    """What it computes beyond its neck goes by the shape of the batch."""
    teacher = dict(
        config=published('mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'),
        allow_incomplete=True,
        pad_size_divisor=64,
    )
    student = tiny.retinanet(pad_size_divisor=1)
    model = tiny.build(tiny.distiller(student, teacher, stages=dict(p3=pair('neck[0]', 'neck[0]'))))
    batch = tiny.batch(model, size=(101, 75))
    features = model.teacher(batch['inputs'], ['neck[0]', 'encoder'], batch['data_samples'])
    seen = torch.nn.functional.pad(batch['inputs'], (0, 128 - 75, 0, 128 - 101))
    for sample in batch['data_samples']:
        sample.set_metainfo(dict(batch_input_shape=(128, 128)))
    expected = model.teacher(seen, ['encoder'], batch['data_samples'])
    assert torch.equal(features['encoder'], expected['encoder'])
    assert features['neck[0]'].shape[-2:] == (13, 10)


def test_tokens_of_several_levels_are_refused():
    teacher = dict(config=published('mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'), allow_incomplete=True)
    message = (
        r"stages\.p3\.teacher_at: 'encoder' gives neither maps .* nor tokens of one grid, but \(1, \d+, 256\)"
    )
    with pytest.raises(ValueError, match=message):
        tiny.build(tiny.distiller(teacher=teacher, stages=dict(p3=pair('neck[0]', 'encoder'))))


def test_many_stages_from_one_teacher_and_other_losses():
    """Backbone and neck, one teacher's map for two of the student's, MSE beside FGD: all config."""
    mse = dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.1)
    stages = dict(
        c5=dict(at='backbone.layer4', loss=mse),
        with_fgd=dict(at='neck[1]', neck=tiny.NECK, loss=FGD),
        with_mse=dict(at='neck[1]', neck=tiny.NECK, loss=mse),
        other=dict(student_at='neck[2]', teacher_at='neck[1]', loss=mse),
    )
    losses = step(tiny.distiller(stages=stages))
    assert len([key for key in losses if key.startswith('loss_distill_')]) == 4
