"""The shipped baselines, made small: each trains, and differs from configs/dpk by its loss alone."""

from pathlib import Path

import numpy as np
import pytest
import shrink
import tiny
import tiny_cls
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.logging import MessageHub

ROOT = Path(__file__).parents[1] / 'configs'
CIFAR = sorted(path.name for path in ROOT.glob('baselines/*_cifar100.py'))
COCO = sorted(path.name for path in ROOT.glob('baselines/*_coco.py'))
CIFAR_METHODS = (
    *('at', 'dist', 'dkd', 'fitnet', 'kd', 'lskd-dkd', 'lskd', 'mgd', 'nkd', 'rld', 'sp'),
    *('spatial-cosine', 'wkd-f', 'wttm'),
)
COCO_METHODS = ('crosskd', 'cwd', 'fgd', 'fitnet', 'mgd', 'pkd', 'score-mse', 'spatial-cosine')


def load(name):
    return shrink.load(ROOT / 'baselines' / name)


def detector_batch(model):
    torch.manual_seed(0)
    np.random.seed(0)
    # P7 has more than one position, without which CWD has nothing to say there
    data = demo_mm_inputs(2, [(3, 192, 160), (3, 184, 160)], num_items=[2, 2], num_classes=80)
    return model.data_preprocessor(data, True)


def test_every_method_has_a_config():
    assert CIFAR == [f'{method}_resnet32x4_resnet8x4_cifar100.py' for method in CIFAR_METHODS]
    assert COCO == [f'{method}_retinanet_r101_r50_coco.py' for method in COCO_METHODS]


@pytest.mark.parametrize('name', CIFAR + COCO)
def test_builds_and_takes_a_step(name):
    MessageHub.get_current_instance().update_info('epoch', 30)  # past any warm-up
    cfg = load(name)
    model = tiny.build(shrink.distiller(cfg))
    model.init_weights()
    model.train()
    inputs = tiny_cls.batch(model) if name in CIFAR else detector_batch(model)
    losses = model(**inputs, mode='loss')
    values = {key: value for key, value in losses.items() if key.startswith('loss_distill_')}
    assert len(values) == len(cfg.model.stages)
    assert all(value.isfinite() and value > 0 for value in values.values()), values
    total, _ = model.parse_losses(losses)
    total.backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3).step()
    assert not any(key.startswith('ratio_') for key in losses)


@pytest.mark.parametrize('name', CIFAR)
def test_cifar_has_the_recipe_of_the_student_alone_and_the_teacher_of_dpk(name):
    cfg, alone = load(name), shrink.load(ROOT / 'dpk/cifar100/resnet8x4_cifar100.py')
    dpk = shrink.load(ROOT / 'dpk/resnet32x4_resnet8x4_cifar100.py')
    assert cfg.model.student == alone.model == dpk.model.student
    for field, value in alone.items():
        assert field == 'model' or cfg[field] == value, field  # one optimizer for all among them
    teacher = cfg.model.teacher
    assert Path(teacher.config).resolve() == Path(dpk.model.teacher.config).resolve()
    assert teacher.checkpoint == dpk.model.teacher.checkpoint
    assert cfg.model.input_shape == dpk.model.input_shape


@pytest.mark.parametrize('name', COCO)
def test_coco_differs_from_dpk_by_the_stages_alone(name):
    cfg, dpk = load(name), shrink.load(ROOT / 'dpk/retinanet_r101_r50_coco.py')
    for field, value in dpk.items():
        assert field == 'model' or cfg[field] == value, field
    for field in ('student', 'teacher', 'init_student'):
        assert cfg.model[field] == dpk.model[field], field
    assert cfg.model.type == 'dpk_mm.Distiller'
    assert set(cfg.model) == set(dpk.model)
    assert not any('neck' in stage or 'prior' in stage for stage in cfg.model.stages.values())
