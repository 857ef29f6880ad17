"""Small models, data and training runs that the tests share."""

import contextlib
import copy
import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.runner import Runner

from dpk_mm.registry import MODELS

CLASSES = ('a', 'b', 'c')
FGD = dict(type='dpk_mm.FGDLoss')
NECK = dict(
    type='dpk_mm.FeatureMixingNeck',
    patch_size=2,
    encoder=dict(embed_dims=16, num_layers=1, num_heads=2),
    decoder=dict(embed_dims=16, num_layers=1, num_heads=2),
)


class Call:
    """Unpickled, it is what a function returns."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def runs_code(trace):
    """What leaves a file behind where it is unpickled."""
    return Call(exec, f'open({str(trace)!r}, "w").close()')


def slow_but(names, *fast):
    """Parameters of a test; those not named are slow: they are left out where time is short."""
    assert set(fast) <= set(names), fast
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


def retinanet(depth=18, width=4, channels=8, **preprocessor):
    """The model dict of mmdet's RetinaNet, with a ResNet of ``base_channels=width``."""
    cfg = get_config('mmdet::_base_/models/retinanet_r50_fpn.py')
    expansion = 1 if depth in (18, 34) else 4
    backbone = dict(depth=depth, base_channels=width, frozen_stages=-1, init_cfg=None, norm_eval=False)
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=backbone,
                neck=dict(in_channels=[width * expansion * 2**i for i in range(4)], out_channels=channels),
                bbox_head=dict(
                    in_channels=channels,
                    feat_channels=channels,
                    stacked_convs=1,
                    num_classes=len(CLASSES),
                ),
                data_preprocessor=preprocessor,
                test_cfg=dict(score_thr=0.0, nms_pre=50),
                _scope_='mmdet',
            )
        )
    )
    return cfg.model


def stages(levels=(0, 2), loss_weight=1.0, **prior):
    """Plain FGD on the first level, DPK on the others."""
    loss = dict(FGD, loss_weight=loss_weight, alpha_fg=0.1, beta_bg=0.1, gamma_mask=0.1, lambda_rela=0.1)
    prior = dict(dict(type='dpk_mm.CKAPrior', samples='positions'), **prior)
    first, *others = levels
    mixing = {f'neck_{i}': dict(at=f'neck[{i}]', neck=NECK, prior=prior, loss=loss) for i in others}
    return {f'neck_{first}': dict(at=f'neck[{first}]', loss=loss), **mixing}


def distiller(student=None, teacher=None, **kwargs):
    """The model dict of a tiny R50 -> R18 distiller with a random teacher."""
    kwargs = {'method': None, 'stages': stages(), **kwargs}
    return dict(
        type='dpk_mm.DPKDistiller',
        student=student or retinanet(),
        teacher=teacher or dict(config=retinanet(depth=50), allow_incomplete=True),
        **kwargs,
    )


def build(cfg, seed=0):
    """Build a model from a dict, after seeding torch."""
    torch.manual_seed(seed)
    return MODELS.build(copy.deepcopy(cfg))


def batch(model, num=2, size=(96, 80), seed=0):
    """A batch for a detector, through its own preprocessor: dict of inputs and data samples."""
    from mmdet.testing import demo_mm_inputs

    np.random.seed(seed)
    shapes = [[3, size[0] - 8 * i, size[1]] for i in range(num)]
    return model.data_preprocessor(demo_mm_inputs(num, shapes, num_classes=len(CLASSES)), True)


def write_coco(folder, num=8, size=(96, 80), seed=0):
    """Write ``num`` noisy images with bright rectangles and their COCO annotations to ``folder``."""
    rng = np.random.default_rng(seed)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(num):
        image = rng.integers(0, 60, (*size, 3), dtype=np.uint8)
        for label in range(1, 3):
            x, y = int(rng.integers(0, size[1] - 40)), int(rng.integers(0, size[0] - 40))
            w, h = (int(v) for v in rng.integers(16, 40, 2))
            image[y : y + h, x : x + w, label] += 150
            box = dict(bbox=[x, y, w, h], area=w * h, iscrowd=0)
            annotations.append(dict(id=len(annotations) + 1, image_id=i, category_id=label, **box))
        cv2.imwrite(str(folder / f'{i}.png'), image)
        images.append(dict(id=i, file_name=f'{i}.png', height=size[0], width=size[1]))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'ann.json').write_text(json.dumps(content))
    return folder


def training_cfg(model, data, work_dir, epochs=2, batch_size=2, **more):
    """A whole training config, without random augmentation: ``Runner.from_cfg(...)`` takes it."""
    load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
    dataset = dict(
        type='CocoDataset',
        data_root=f'{data}/',
        ann_file='ann.json',
        data_prefix=dict(img=''),
        metainfo=dict(classes=CLASSES),
        pipeline=[*load, dict(type='PackDetInputs')],
    )
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    resize = dict(type='Resize', scale=(80, 96), keep_ratio=True)
    test_pipeline = [load[0], resize, load[1], dict(type='PackDetInputs', meta_keys=keys)]
    loader = dict(batch_size=batch_size, num_workers=0, persistent_workers=False)
    cfg = dict(
        default_scope='mmdet',
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(loader, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=True)),
        val_dataloader=dict(
            loader,
            dataset=dict(dataset, pipeline=test_pipeline, test_mode=True),
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        val_evaluator=dict(type='CocoMetric', ann_file=f'{data}/ann.json', metric='bbox'),
        val_cfg=dict(type='ValLoop'),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=100),
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
            clip_grad=dict(max_norm=1.0),
        ),
        param_scheduler=[dict(type='MultiStepLR', milestones=[1], by_epoch=True)],
        default_hooks=dict(
            checkpoint=dict(type='dpk_mm.PlainCheckpointHook', interval=1),
            logger=dict(type='LoggerHook', interval=1),
        ),
        randomness=dict(seed=3),
        log_level='WARNING',
    )
    cfg = Config(cfg)
    cfg.merge_from_dict(more)
    return cfg


def build_runner(cfg):
    """The runner of a training config."""
    cfg = copy.deepcopy(cfg)
    # mmengine keeps loggers and visualizers by name, and names two runners of one second alike
    cfg.setdefault('experiment_name', f'{Path(cfg.work_dir).name}_{time.time_ns()}')
    return Runner.from_cfg(cfg)


def train(cfg):
    """Train, and return the runner."""
    runner = build_runner(cfg)
    runner.train()
    return runner


def train_until_killed(cfg, iteration):
    """Train as ``train`` does, and die before ``iteration``."""

    class Killed(Exception):
        pass

    runner = Runner.from_cfg(copy.deepcopy(cfg))

    def step(data, optim_wrapper, original=runner.model.train_step):
        if runner.iter == iteration:
            raise Killed
        return original(data, optim_wrapper)

    runner.model.train_step = step
    with contextlib.suppress(Killed):
        runner.train()
    assert runner.iter == iteration
