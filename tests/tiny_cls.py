"""Small classifiers, data and training runs; see ``tiny`` for detectors."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

CLASSES = 100
NPZ = dict(type='dpk_mm.NpzDataset', ann_file='cifar.npz')
NECK = dict(
    type='dpk_mm.FeatureMixingNeck',
    encoder=dict(embed_dims=16, num_layers=1, num_heads=2),
    decoder=dict(embed_dims=16, num_layers=1, num_heads=2),
)


def classifier(depth=8, width=4, **more):
    """The model dict of an mmpretrain classifier on a thin CIFAR ResNet."""
    return dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        backbone=dict(type='dpk_mm.CIFARResNet', depth=depth, base_channels=width),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(
            type='LinearClsHead',
            num_classes=CLASSES,
            in_channels=4 * width,
            loss=dict(type='CrossEntropyLoss', use_soft=False),
        ),
        data_preprocessor=dict(num_classes=CLASSES, mean=[127.0] * 3, std=[64.0] * 3, to_rgb=False),
        **more,
    )


def stages(loss_weight=1.0):
    """DPK on the last two stages."""
    loss = dict(type='dpk_mm.FeatureMSELoss', loss_weight=loss_weight)
    return {f'backbone_layer{i}': dict(at=f'backbone.layer{i}', neck=NECK, loss=loss) for i in (3, 2)}


def logits(loss_weight=1.0):
    """Logit distillation."""
    return dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=2.0, loss_weight=loss_weight))


def distiller(student=None, loss_weight=1.0, **kwargs):
    """The model dict of a tiny distiller with a random teacher."""
    usual = dict(stages(loss_weight), logits=logits(loss_weight))
    kwargs = {'method': None, 'stages': usual, **kwargs}
    return dict(
        type='dpk_mm.DPKDistiller',
        student=student or classifier(),
        teacher=dict(config=classifier(depth=14, width=6), allow_incomplete=True),
        input_shape=(32, 32),
        **kwargs,
    )


def sftn(**kwargs):
    """The model dict of a tiny SFTN of one branch."""
    models = dict(teacher=classifier(), student=classifier())
    return dict(type='dpk_mm.SFTN', blocks=['backbone.layer3'], input_shape=(32, 32), **models, **kwargs)


def batch(model, num=6, size=(32, 32), seed=0):
    """A batch through the model's own preprocessor: dict of inputs and data samples."""
    from mmpretrain.structures import DataSample

    rng = np.random.default_rng(seed)
    inputs = [torch.from_numpy(rng.integers(0, 256, (3, *size), dtype=np.uint8)) for _ in range(num)]
    samples = [DataSample().set_gt_label(int(rng.integers(CLASSES))) for _ in range(num)]
    return model.data_preprocessor(dict(inputs=inputs, data_samples=samples), True)


def write_cifar(folder, num=24, seed=0):
    """Write ``num`` images of CIFAR's size a split, whose colours say which of four classes they are."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split in ('train', 'test'):
        labels = np.arange(num) % 4
        images = rng.integers(0, 100, (num, 3, 32, 32), dtype=np.uint8)
        images[np.arange(num), labels % 3] += 100
        arrays.update({f'x_{split}': images.transpose(0, 2, 3, 1), f'y_{split}': labels})
    Path(folder).mkdir(parents=True, exist_ok=True)
    np.savez(Path(folder) / NPZ['ann_file'], **arrays)
    return Path(folder)


def training_cfg(model, data, work_dir, epochs=2, batch_size=6, **more):
    """A whole training config: ``tiny.train`` takes it."""
    loader = dict(batch_size=batch_size, num_workers=0, persistent_workers=False)
    dataset = dict(NPZ, data_root=str(data), pipeline=[dict(type='PackInputs')])
    cfg = dict(
        default_scope='mmpretrain',
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            loader,
            dataset=dict(dataset, split='train'),
            sampler=dict(type='DefaultSampler', shuffle=True),
        ),
        val_dataloader=dict(
            loader,
            dataset=dict(dataset, split='test'),
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        val_evaluator=dict(type='Accuracy'),
        val_cfg=dict(),
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=100),
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4),
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
