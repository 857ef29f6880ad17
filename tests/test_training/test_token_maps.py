"""Models of tokens teach and learn: ViT and Swin of mmpretrain, Swin of mmdet."""

import copy

import pytest
import shrink
import tiny
import tiny_cls
import torch
from mmengine.hub import get_config


def classifier(backbone, width, head='LinearClsHead'):
    """A classifier around a backbone of tokens, for images of 64 x 64."""
    model = dict(tiny_cls.classifier(), backbone=backbone, neck=None)
    if head == 'LinearClsHead':
        model['neck'] = dict(type='GlobalAveragePooling')
    model['head'] = dict(type=head, num_classes=tiny_cls.CLASSES, in_channels=width)
    return model


VIT = classifier(
    dict(
        type='VisionTransformer',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=16),
        img_size=64,
        patch_size=16,
    ),
    16,
    'VisionTransformerClsHead',
)
SWIN = classifier(
    dict(
        type='SwinTransformer',
        arch=dict(embed_dims=8, depths=[1] * 4, num_heads=[1] * 4),
        img_size=64,
        window_size=2,
    ),
    64,
)
MODELS = dict(vit=VIT, swin=SWIN, resnet=tiny_cls.classifier())


def distiller(student, teacher, **more):
    teacher = dict(config=copy.deepcopy(teacher), allow_incomplete=True)
    return tiny.build(
        dict(type='dpk_mm.Distiller', student=student, teacher=teacher, input_shape=(64, 64), **more)
    )


def step(model, batch):
    model.init_weights()
    model.train()
    losses = model(**batch, mode='loss')
    model.parse_losses(losses)[0].backward()
    assert all(losses[f'loss_distill_{name}'] > 0 for name in model.distiller)
    own = [name for name, parameter in model.student.named_parameters() if parameter.grad is None]
    assert own == []


@pytest.mark.parametrize(
    'student, teacher, method, layers',
    [
        ('resnet', 'vit', 'spatial-cosine', [('backbone.layer3', 'backbone.ln1[tokens/16+1]')]),
        ('vit', 'resnet', 'pkd', [('backbone.ln1[tokens/16+1]', 'backbone.layer3')]),
        (
            'vit',
            'swin',
            'dpk',
            [('backbone.ln1[tokens/16+1]', 'backbone[0]'), ('head.layers.head', 'head.fc')],
        ),
        (
            'swin',
            'swin',
            'at',
            [
                ('backbone.stages.1[0][tokens/8]', 'backbone.stages.1[0][tokens/8]'),
                ('backbone.stages.2[0][tokens/16]', 'backbone.stages.2[0][tokens/16]'),
                ('backbone[0]', 'backbone[0]'),
            ],
        ),
    ],
)
def test_a_classifier_of_tokens_by_a_methods_name(student, teacher, method, layers):
    model = distiller(MODELS[student], MODELS[teacher], method=method)
    assert list(model.layers.values()) == layers
    step(model, tiny_cls.batch(model, size=(64, 64)))


def test_the_map_is_the_tokens_behind_the_class_token():
    model = distiller(tiny_cls.classifier(), VIT, method='pkd')
    images = torch.rand(2, 3, 64, 96)
    (tap,) = model.teacher_taps
    found = {}
    handle = model.teacher.model.backbone.ln1.register_forward_hook(
        lambda module, args, output: found.update(tokens=output)
    )
    feat = model.teacher(images, [tap])[tap]
    handle.remove()
    tokens = found['tokens']
    assert feat.shape == (2, 16, 4, 6) and tokens.shape == (2, 25, 16)
    assert torch.equal(feat[:, :, 1, 2], tokens[:, 1 + 6 + 2])


def test_a_teacher_of_patches_sees_whole_ones():
    """Its padding is cut off again."""
    model = distiller(tiny_cls.classifier(), VIT, method='pkd')
    (tap,) = model.teacher_taps
    seen = []
    handle = model.teacher.model.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[2:]))
    feat = model.teacher(torch.rand(2, 3, 50, 100), [tap])[tap]
    handle.remove()
    assert seen == [(64, 112)] and feat.shape == (2, 16, 4, 7)


@pytest.mark.slow
def test_tokens_of_a_detector_learn():
    cfg = get_config('mmdet::swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py')
    cfg.model._scope_ = 'mmdet'
    stage = dict(
        student_at='backbone.stages.3[2][tokens/32]',
        teacher_at='backbone.layer4',
        loss=dict(type='dpk_mm.SpatialCosineLoss'),
    )
    model = tiny.build(tiny.distiller(shrink.detector(cfg.model), stages=dict(c5=stage)))
    assert model.shapes[0][stage['student_at']][2:] == (8, 8)
    step(model, tiny.batch(model))
