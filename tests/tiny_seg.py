"""Small segmentors, data and training runs; see ``tiny`` for detectors."""

from pathlib import Path

import cv2
import numpy as np
import tiny
import torch
from mmengine.config import Config

CLASSES = 5
SIZE = (48, 64)
LOGITS = 'decode_head.conv_seg'
HEAD = dict(
    type='PSPHead',
    in_index=3,
    channels=8,
    pool_scales=(1, 2),
    dropout_ratio=0.0,
    norm_cfg=dict(type='BN'),
    align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False),
)


def segmentor(width=4, classes=CLASSES, head=None, **preprocessor):
    """The model dict of an mmseg PSPNet on a thin ResNet of stride 8."""
    return dict(
        type='EncoderDecoder',
        _scope_='mmseg',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            **{'mean': [123.675] * 3, 'std': [58.395] * 3, 'bgr_to_rgb': True, 'size': SIZE, **preprocessor},
        ),
        backbone=dict(
            type='ResNetV1c',
            depth=18,
            base_channels=width,
            stem_channels=width,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            dilations=(1, 1, 2, 4),
            strides=(1, 2, 1, 1),
        ),
        decode_head=dict(HEAD, in_channels=8 * width, num_classes=classes, **(head or {})),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )


def distiller(student=None, teacher=None, **kwargs):
    """The model dict of a tiny distiller with a random teacher."""
    return dict(
        type='dpk_mm.Distiller',
        student=student or segmentor(),
        teacher=dict(config=teacher or segmentor(width=8), allow_incomplete=True),
        **{'input_shape': SIZE, **kwargs},
    )


def stages(loss, **settings):
    """One stage on the logits."""
    return dict(logits=dict(at=LOGITS, loss=dict(type=f'dpk_mm.{loss}', **settings)))


def batch(model, num=2, size=SIZE, seed=0):
    """A batch through the model's own preprocessor: dict of inputs and data samples."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    rng = np.random.default_rng(seed)
    inputs = [torch.from_numpy(rng.integers(0, 256, (3, *size), dtype=np.uint8)) for _ in range(num)]
    samples = []
    for _ in range(num):
        labels = rng.integers(0, CLASSES, (1, *size))
        labels[rng.random(labels.shape) < 0.3] = 255
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=torch.from_numpy(labels))))
    return model.data_preprocessor(dict(inputs=inputs, data_samples=samples), True)


def write_masks(folder, num=8, seed=0):
    """Write ``num`` noisy images with a bright rectangle, class 1 of their masks, whose top is 255."""
    rng = np.random.default_rng(seed)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(num):
        image, mask = rng.integers(0, 60, (*SIZE, 3), dtype=np.uint8), np.zeros(SIZE, np.uint8)
        y, x = (int(rng.integers(0, side // 2)) for side in SIZE)
        image[y : y + 20, x : x + 20] += 150
        mask[y : y + 20, x : x + 20], mask[:4] = 1, 255
        cv2.imwrite(str(folder / f'{i}.jpg'), image)
        cv2.imwrite(str(folder / f'{i}.png'), mask)
    return folder


def training_cfg(model, data, work_dir, epochs=2, **more):
    """A whole training config, without random augmentation."""
    dataset = dict(
        type='BaseSegDataset',
        data_prefix=dict(img_path=str(data), seg_map_path=str(data)),
        metainfo=dict(classes=('a', 'b', 'c', 'd', 'e'), palette=[[i] * 3 for i in range(CLASSES)]),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')],
    )
    loader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dataset)
    cfg = Config(
        dict(
            default_scope='mmseg',
            model=model,
            work_dir=str(work_dir),
            train_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=True)),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs),
            test_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
            test_evaluator=dict(type='IoUMetric', iou_metrics=['mIoU']),
            test_cfg=dict(type='TestLoop'),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9)),
            default_hooks=dict(
                checkpoint=dict(type='dpk_mm.PlainCheckpointHook', interval=1),
                logger=dict(type='LoggerHook', interval=1),
            ),
            randomness=dict(seed=3),
            log_level='WARNING',
        )
    )
    cfg.merge_from_dict(more)
    return cfg


build, train = tiny.build, tiny.train
