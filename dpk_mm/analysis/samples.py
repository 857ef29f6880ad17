"""Images that the scripts show to the models that they compare."""

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import mmengine
import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DATASETS, init_default_scope
from torch import Tensor, nn

from dpk_mm.analysis.stats import LEAST_SAMPLES
from dpk_mm.compare.digest import digest_settings
from dpk_mm.models import FrozenTeacher
from dpk_mm.utils import cli, is_detector
from dpk_mm.utils.files import write_json
from dpk_mm.utils.quiet import quiet

# images (B, 3, H, W) and their B samples
Batch = tuple[Tensor, Optional[list]]


class Sample:
    """Validation images, evenly spread, as the first of the models takes them.

    Args:
        cfg (Config): Whose validation images.
        model (FrozenTeacher): Whose preprocessor makes the batches.
        args (argparse.Namespace): With ``images`` and ``batch_size``.
        whose (str): What the user calls the config.

    Raises:
        ValueError: The config has no such images, or too few.

    Attributes:
        part, loader, dataset: See :func:`val_sample`.
        input_shape (tuple[int, int], optional): Height and width of an image; None for detectors.
    """

    def __init__(self, cfg: Config, model: FrozenTeacher, args: argparse.Namespace, whose: str) -> None:
        self.part, self.loader, self.dataset = val_sample(cfg, args.images, whose)
        self.preprocessor = model.model.data_preprocessor.to(get_device())
        model.match_input_normalization(self.preprocessor)
        self.is_detector = is_detector(model.model)
        self.batch_size = args.batch_size or (2 if self.is_detector else 64)
        if len(self) < LEAST_SAMPLES <= self.batch_size:
            raise ValueError(f'{len(self)} images are too few, {LEAST_SAMPLES} are needed')
        self.input_shape = None
        if not self.is_detector:
            images, _ = next(batches(self.dataset, self.preprocessor, 1))
            self.input_shape = tuple(images.shape[-2:])

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[Batch]:
        return batches(self.dataset, self.preprocessor, self.batch_size)


def add_sample_flags(parser: argparse.ArgumentParser, images: int, whose: str) -> None:
    """Add the flags that say which images to show: ``images`` many by default, of the config of ``whose``."""
    default = f'validation images, evenly spread (default: {images})'
    parser.add_argument('--images', type=cli.positive, default=images, help=default)
    parser.add_argument(
        '--batch-size', type=cli.positive, help='images a batch (default: 64, for detectors 2)'
    )
    cli.add_cfg_options(parser, f'overrides of the config of the {whose}')


def val_sample(cfg: Config, images: int, whose: str) -> tuple[str, ConfigDict, BaseDataset]:
    """Limit the validation set of a config, or its test set, to images that are evenly spread over it.

    Args:
        cfg (Config): With a ``val_dataloader`` or a ``test_dataloader``.
        images (int): How many, or all there are.
        whose (str): What the user calls the config.

    Returns:
        tuple[str, ConfigDict, BaseDataset]: ``'val'`` or ``'test'``; its dataloader, limited by the data
        set's ``indices``; the limited data set.

    Raises:
        ValueError: There is no such data set, or it cannot be read or limited.
    """
    part = next((part for part in ('val', 'test') if cfg.get(f'{part}_dataloader')), None)
    if part is None:
        raise ValueError(f'{whose}: the config has neither a val_dataloader nor a test_dataloader')
    loader = copy.deepcopy(cfg[f'{part}_dataloader'])
    dataset = build_dataset(cfg, loader)
    if not isinstance(dataset, BaseDataset):
        raise ValueError(f'{whose}: {type(dataset).__name__} takes no indices, so it cannot be limited')
    total = len(dataset)
    picked = evenly_spaced(images, total)
    own = loader.dataset.get('indices')
    if len(picked) == total:
        return part, loader, dataset
    if isinstance(own, int):
        # the first so many, or, if negative, the last
        loader.dataset.indices = [i + min(own, 0) for i in picked]
    else:
        loader.dataset.indices = picked if own is None else [own[i] for i in picked]
    dataset.get_subset_(picked)
    return part, loader, dataset


def evenly_spaced(images: int, total: int) -> list[int]:
    """So many indices out of ``total``, or all there are, evenly spaced."""
    num = min(images, total)
    return [i * total // num for i in range(num)]


def build_dataset(cfg: Config, loader: ConfigDict) -> Any:
    """Build the data set of a dataloader.

    Args:
        cfg (Config): A whole config.
        loader (ConfigDict): One of its dataloaders.

    Returns:
        Dataset: Ready to be read.

    Raises:
        ValueError: It cannot be read.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    try:
        with quiet():
            dataset = DATASETS.build(copy.deepcopy(loader.dataset))
            if isinstance(dataset, BaseDataset):
                dataset.full_init()
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise ValueError(f'the data set cannot be read: {error}') from error
    return dataset


def batches(dataset: Any, preprocessor: nn.Module, batch_size: int) -> Iterator[Batch]:
    """Read a data set in batches of about one size.

    Args:
        dataset: Of upstream's.
        preprocessor (nn.Module): Makes the batches, on its own device.
        batch_size (int): Most images a batch. From 4 on no batch has fewer than 4, if there are 4 at all.

    Yields:
        tuple[Tensor, list]: (B, 3, H, W) and B samples.
    """
    num = len(dataset)
    parts = -(-num // batch_size)
    if batch_size >= LEAST_SAMPLES:
        parts = max(1, min(parts, num // LEAST_SAMPLES))
    for part in np.array_split(np.arange(num), parts):
        data = preprocessor(pseudo_collate([dataset[int(i)] for i in part]))
        yield data['inputs'], data.get('data_samples')


def limit_evaluator(evaluator: Any, dataset: BaseDataset, folder: Path) -> Any:
    """Let COCO's metrics count the objects of a few images; they would take those of all others for missed.

    Args:
        evaluator (dict or list[dict]): Of a config.
        dataset (BaseDataset): Those images.
        folder (Path): For the annotations of those images.

    Returns:
        dict or list[dict]: A copy whose ``ann_file``, where there is one in JSON, is that of those images.
    """
    evaluator = copy.deepcopy(evaluator)
    metrics = evaluator.get('metrics', evaluator) if isinstance(evaluator, dict) else evaluator
    for metric in metrics if isinstance(metrics, (list, tuple)) else [metrics]:
        if not str(metric.get('ann_file')).endswith('.json'):
            continue
        content = mmengine.load(metric['ann_file'], backend_args=metric.pop('backend_args', None))
        shown = sorted(dataset.get_data_info(i)['img_id'] for i in range(len(dataset)))
        content['images'] = [one for one in content['images'] if one['id'] in shown]
        content['annotations'] = [one for one in content['annotations'] if one['image_id'] in shown]
        path = folder / f'{Path(metric["ann_file"]).stem}_{digest_settings(shown)}.json'
        write_json(path, content)
        metric['ann_file'] = str(path)
    return evaluator
