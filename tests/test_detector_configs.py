"""The shipped configs of detectors, made small: each trains, and leaves a plain student's checkpoint."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import shrink
import tiny
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.logging import MessageHub
from mmengine.runner import load_checkpoint

from dpk_mm.utils import load_model_cfg
from dpk_mm.utils.teacher_config import hub_weights

ROOT = Path(__file__).parents[1] / 'configs/dpk'
DETECTORS = sorted(path.name for path in ROOT.glob('*_coco.py'))
PLAIN = sorted(path.name for path in ROOT.glob('coco/*.py'))
FAMILIES = {
    *('retinanet', 'faster-rcnn', 'fcos', 'atss', 'gfl', 'reppoints', 'rtmdet', 'yolox', 'cascade-rcnn'),
    *('mask-rcnn', 'dino'),
}
FAST = ['retinanet_r101_r50_coco.py', 'mask-rcnn_r101_r50_coco.py', 'yolox_l_s_coco.py']
# of a family the pairs have other depths and numbers, but for one teacher with a transformer
ONE_A_FAMILY = [name for name in DETECTORS if not re.search('r18|r152|lean|tuned', name)]


@pytest.fixture(autouse=True)
def iteration():
    """What a runner would say, which YOLOX's preprocessor asks for."""
    MessageHub.get_current_instance().update_info('iter', 0)


def distiller_cfg(name, **changes):
    cfg = shrink.distiller(shrink.load(ROOT / name))
    cfg.update(changes)
    return cfg


def batch(model, shapes=((128, 96), (120, 96)), items=3, seed=0):
    """A batch with ``items`` boxes (and masks) an image, through the model's own preprocessor."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    data = demo_mm_inputs(
        len(shapes),
        [(3, *shape) for shape in shapes],
        num_items=[items] * len(shapes),
        num_classes=80,
        with_mask=hasattr(model, 'mask_head') or getattr(model, 'with_mask', False),
    )
    return model.data_preprocessor(data, True)


def settle(teacher, inputs):
    """Give a random teacher the statistics of a batch, without which its maps are in the thousands."""
    norms = [module for module in teacher.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean of what it sees
        torch.nn.Module.train(norm.reset_running_stats() or norm)
    with torch.no_grad():
        teacher.extract_feat(inputs)
    teacher.eval()


def distilled(losses):
    """The losses of distillation, by stage."""
    return {key: value for key, value in losses.items() if key.startswith('loss_distill_')}


def test_every_family_has_a_config():
    assert {name.split('_')[0] for name in DETECTORS} == FAMILIES
    pairs = [
        f'{d}_{p}_coco.py' for d in ('retinanet', 'faster-rcnn') for p in ('r101_r50', 'r101_r18', 'r152_r50')
    ]
    assert set(pairs) <= set(DETECTORS)


@pytest.mark.parametrize('name', tiny.slow_but(DETECTORS, *FAST))
def test_two_steps_bring_the_distillation_losses_down(name):
    cfg = distiller_cfg(name)
    model = tiny.build(cfg)
    model.init_weights()
    settle(model.teacher.model, batch(model)['inputs'])
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-4)
    sums = []
    for _ in range(3):
        losses = model(**batch(model), mode='loss')
        assert len(distilled(losses)) == len(cfg.stages)
        assert all(torch.isfinite(value) and value > 0 for value in distilled(losses).values())
        total, log = model.parse_losses(losses)
        assert torch.isfinite(total) and set(distilled(losses)) < set(log)
        optimizer.zero_grad()
        # without the student's own losses, which pull elsewhere
        total = sum(distilled(losses).values())
        total.backward()
        sums.append(total.item())
        assert [n for n, p in model.distiller.named_parameters() if p.grad is None] == []
        optimizer.step()
    assert sums[0] > sums[1] > sums[2], sums
    # Smaller maps are one token here, whose attention has nothing to learn.
    neck = next(stage.neck for stage in model.distiller.values() if stage.neck is not None)
    # Without a prior the teacher's tokens are never taken.
    prior = next(stage.prior for stage in cfg.stages.values() if 'neck' in stage)
    unused = ('teacher_',) if prior.get('ratio') == 0 else ()
    idle = [n for n, p in neck.named_parameters() if not p.grad.any()]
    assert idle == [n for n, _ in neck.named_parameters() if n.startswith(unused)]


@pytest.mark.parametrize('name', tiny.slow_but(ONE_A_FAMILY, *FAST))
def test_checkpoint_is_a_plain_students(name, tmp_path):
    cfg = distiller_cfg(name)
    model = tiny.build(cfg)
    inputs = batch(model)
    model.init_weights()
    model.parse_losses(model.train()(**inputs, mode='loss'))[0].backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3).step()
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'epoch_1.pth')
    plain = tiny.build(cfg.student, seed=9)
    saved = load_checkpoint(plain, str(tmp_path / 'epoch_1.pth'), map_location='cpu')['state_dict']
    assert set(plain.state_dict()) == {key for key in saved if not key.startswith('distiller.')}
    assert not any(key.startswith('teacher') for key in saved)
    results = []
    for student in (model.eval(), plain.eval()):
        with torch.no_grad():
            inputs = batch(student)
            results.append([sample.pred_instances for sample in student(**inputs, mode='predict')])
    for ours, theirs in zip(*results):
        assert len(ours) == len(theirs) > 0
        assert torch.equal(ours.scores, theirs.scores) and torch.equal(ours.bboxes, theirs.bboxes)
        assert 'masks' not in ours or torch.equal(ours.masks, theirs.masks)


@pytest.mark.parametrize('name', tiny.slow_but(ONE_A_FAMILY, *FAST))
def test_sizes_change_from_step_to_step(name):
    """Batches of one, odd sizes, images without objects."""
    model = tiny.build(distiller_cfg(name))
    model.init_weights()
    model.train()
    for shapes, items in [
        (((101, 75),), 2),
        (((64, 131), (77, 90)), 0),
        (((150, 83), (97, 97), (64, 64)), 1),
    ]:
        if name.startswith('rtmdet'):  # its own neck takes multiples of 32 only, as its pipeline makes them
            shapes = [(h - h % 32, w - w % 32) for h, w in shapes]
        losses = model(**batch(model, shapes, items), mode='loss')
        model.parse_losses(losses)[0].backward()
        assert all(torch.isfinite(value) for value in distilled(losses).values())
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize('name', tiny.slow_but(DETECTORS, *FAST))
def test_teacher_is_published_or_has_a_config_of_its_own(name):
    teacher = shrink.load(ROOT / name).model.teacher
    if teacher.checkpoint == 'hub':
        assert hub_weights(teacher.config).endswith('.pth')
    else:
        assert Path(teacher.config).parent == ROOT / 'coco'
        assert teacher.checkpoint == f'work_dirs/{Path(teacher.config).stem}/epoch_24.pth'


@pytest.mark.parametrize('name', PLAIN)
def test_plain_config_is_upstreams_with_another_backbone(name):
    cfg, depth = shrink.load(ROOT / 'coco' / name), int(re.search(r'_r(\d+)_', name)[1])
    package = 'retinanet' if name.startswith('retinanet') else 'faster_rcnn'
    upstream = load_model_cfg(f'mmdet::{package}/{name.replace(f"r{depth}", "r50")}')
    assert cfg.model.backbone.depth == depth and cfg.train_cfg.max_epochs == 24
    assert cfg.model.backbone.init_cfg.checkpoint == f'torchvision://resnet{depth}'
    model = copy.deepcopy(cfg.model)
    for other in (model, upstream):
        other.backbone.update(depth=50, init_cfg=None)
        other.neck.in_channels = [256, 512, 1024, 2048]
        other.pop('_scope_')
    assert model == upstream
    tiny.build(shrink.detector(cfg.model))


# Source: the authors' code, whose numbers docs/dpk.md has in tables
FGD_WEIGHTS = {
    'retinanet_r101_r50_coco.py': (2e-3, 2e-4, 3e-4, 5e-6),
    'retinanet_r101_r18_coco.py': (2e-3, 5e-4, 5e-4, 5e-6),
    'retinanet_r152_r50_coco.py': (1e-3, 5e-4, 5e-4, 5e-6),
    'faster-rcnn_r101_r50_coco.py': (5e-5, 2.5e-5, 5e-5, 5e-7),
    'faster-rcnn_r101_r18_coco.py': (2e-5, 2.5e-5, 2e-5, 2e-7),
    'faster-rcnn_r152_r50_coco.py': (5e-5, 5e-6, 5e-5, 5e-7),
}
# patch size, embed_dims of encoder and decoder
NECKS = {'p4': (4, 512, 1024), 'p5': (2, 256, 512), 'p6': (1, 256, 256), 'p7': (1, 256, 256)}


@pytest.mark.parametrize('name', FGD_WEIGHTS)
def test_config_holds_the_authors_numbers(name):
    cfg = shrink.load(ROOT / name)
    one_stage = name.startswith('retinanet')
    assert cfg.train_cfg.max_epochs == 24 and cfg.optim_wrapper.clip_grad.max_norm == 35
    assert cfg.train_dataloader.batch_size == 2 and cfg.model.init_student
    assert cfg.default_hooks.checkpoint.type == 'dpk_mm.PlainCheckpointHook'
    levels = ['p3', 'p4', 'p5', 'p6', 'p7'] if one_stage else ['p2', 'p3', 'p4', 'p5']
    assert list(cfg.model.stages) == levels
    for i, (level, stage) in enumerate(cfg.model.stages.items()):
        assert stage['at'] == f'neck[{i}]'
        weights = [stage.loss[k] for k in ('alpha_fg', 'beta_bg', 'gamma_mask', 'lambda_rela', 'temp')]
        assert weights == [*FGD_WEIGHTS[name], 0.5]
        assert ('neck' in stage) == ('prior' in stage) == (level in NECKS)
        if level not in NECKS:
            continue
        patch, encoder, decoder = NECKS[level]
        assert (stage.neck.patch_size, stage.neck.min_teacher_tokens) == (patch, 40)
        assert stage.neck.encoder == dict(embed_dims=encoder, num_layers=4, num_heads=8)
        assert stage.neck.decoder == dict(embed_dims=decoder, num_layers=4, num_heads=8)
        assert (stage.prior.samples, stage.prior.floor, stage.prior.cap) == ('positions', 0.15, 0.85)


def test_tuned_config_has_the_lean_necks_and_another_loss_and_prior_only():
    tuned, lean = (shrink.load(ROOT / f'retinanet_r101_r50_{name}_coco.py') for name in ('tuned', 'lean'))
    for name, theirs in lean.model.stages.items():
        ours = tuned.model.stages[name]
        assert ours.loss == dict(type='dpk_mm.PKDLoss', loss_weight=3.0)
        ours.loss = theirs.loss
        if 'neck' in theirs:
            assert ours.prior == dict(type='dpk_mm.FixedPrior', ratio=0.0)
            ours.prior = theirs.prior
    assert tuned.to_dict() == lean.to_dict()


BCCD = ROOT.parents[1] / 'experiments/bccd/configs'


def test_bccd_chooses_on_images_that_are_neither_trained_nor_tested_on():
    cfg = shrink.load(BCCD / 'retinanet_thin.py')
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert not set(train.indices) & set(val.indices) and len(train.indices) + len(val.indices) == 292
    assert train.ann_file == val.ann_file == 'train.json'
    assert cfg.test_dataloader.dataset.ann_file == 'val.json'
