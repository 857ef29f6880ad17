"""The shipped configs of KR, made small: each trains, and differs from the student alone by its stages."""

import re
from pathlib import Path

import pytest
import shrink
import tiny
import tiny_cls
import torch

ROOT = Path(__file__).parents[1] / 'configs'
CIFAR = ['kr_resnet32_resnet14_cifar100.py', 'kr-kd_resnet32_resnet14_cifar100.py']
COCO = ['kr_retinanet_r101_r50_coco.py']
# layers of the student and of the teacher in each group
BLOCKS = {'cifar100': [(2, 5)] * 3, 'coco': [(4, 4), (6, 23), (3, 3)]}


def load(name):
    return shrink.load(ROOT / 'kr' / name)


def test_these_are_all():
    assert sorted(CIFAR + COCO) == sorted(path.name for path in ROOT.glob('kr/*.py'))


@pytest.mark.parametrize('name', CIFAR + COCO)
def test_builds_and_takes_a_step(name):
    cfg = load(name)
    model = tiny.build(shrink.distiller(cfg))
    model.init_weights()
    model.train()
    batch = tiny_cls.batch(model) if name in CIFAR else tiny.batch(model)
    losses = model(**batch, mode='loss')
    distilled = {key: value for key, value in losses.items() if key.startswith('loss_distill_')}
    assert len(distilled) == len(cfg.model.stages)
    assert all(value.isfinite() and value > 0 for value in distilled.values()), distilled
    groups = [stage for key, stage in model.layers.items() if key != 'logits']
    assert [(len(student), len(teacher)) for student, teacher in groups] == BLOCKS[cfg_data(name)]
    # student and teacher are equally wide: there is nothing to train beside the student
    assert list(model.distiller.parameters()) == []
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3).step()


def cfg_data(name):
    return name.removesuffix('.py').split('_')[-1]


@pytest.mark.parametrize('name', CIFAR)
def test_cifar_has_the_recipe_of_the_student_alone(name):
    cfg, alone = load(name), shrink.load(ROOT / 'dpk/cifar100/resnet14_cifar100.py')
    assert cfg.model.student == alone.model
    for field, value in alone.items():
        assert field == 'model' or cfg[field] == value, field
    teacher = cfg.model.teacher
    assert Path(teacher.config).resolve() == ROOT / 'dpk/cifar100/resnet32_cifar100.py'
    epochs = shrink.load(teacher.config).train_cfg.max_epochs
    assert teacher.checkpoint == f'work_dirs/resnet32_cifar100/epoch_{epochs}.pth'


def test_logits_are_added_as_the_benchmark_has_them():
    with_kd, without = (load(name).model for name in reversed(CIFAR))
    assert with_kd.stages.pop('logits') == dict(
        at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=4.0, loss_weight=0.9)
    )
    assert with_kd.pop('task_loss_weight') == 0.1 and with_kd == without


def test_coco_differs_from_dpk_by_the_stages_alone():
    cfg, dpk = load(COCO[0]), shrink.load(ROOT / 'dpk/retinanet_r101_r50_coco.py')
    stages = cfg.model.pop('stages')
    assert dpk.model.pop('stages') != stages
    assert (cfg.model.pop('type'), dpk.model.pop('type')) == ('dpk_mm.Distiller', 'dpk_mm.DPKDistiller')
    for field, value in dpk.items():
        assert cfg[field] == value, field


@pytest.mark.parametrize('name', CIFAR + COCO)
def test_all_groups_are_alike(name):
    stages = load(name).model.stages
    stages.pop('logits', None)
    assert all(re.fullmatch(r'backbone\.layer\d\.\*', stage.at) for stage in stages.values())
    kr = dict(type='dpk_mm.KRLoss', temperature=1.0, threshold=0.1, l1_weight=0.1, loss_weight=1.0)
    assert [stage.loss for stage in stages.values()] == [kr] * 3
