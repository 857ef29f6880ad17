"""Open the models of the demos, run them on single images and time them."""

import copy
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from torch import nn

from dpk_mm.utils.quiet import quiet


def load_model(cfg: Config, checkpoint: Union[str, Path]) -> nn.Module:
    """Open a checkpoint with upstream's own ``init_detector`` or ``get_model``.

    Args:
        cfg (Config): From :func:`dpk_mm.compare.training.load_config`.
        checkpoint (str or Path): Weights.

    Returns:
        nn.Module: The model, on the CPU, in eval mode.
    """
    if cfg.default_scope == 'mmpretrain':
        from mmpretrain import get_model as open_model
    else:
        from mmdet.apis import init_detector as open_model
    with quiet():
        return open_model(copy.deepcopy(cfg), str(checkpoint), device='cpu')


def load_test_set(cfg: Config) -> Sequence[dict]:
    """Build the data set that a config tests on.

    Args:
        cfg (Config): From :func:`dpk_mm.compare.training.load_config`.

    Returns:
        Sequence[dict]: Upstream's data set; an item has ``inputs`` (3, H, W) and ``data_samples``.
    """
    with quiet(), DefaultScope.overwrite_default_scope(cfg.default_scope):
        return DATASETS.build(cfg.test_dataloader.dataset)


@torch.no_grad()
def predict(model: nn.Module, item: dict) -> Any:
    """Run a model on one image.

    Args:
        model (nn.Module): In eval mode.
        item (dict): An item of :func:`load_test_set`.

    Returns:
        Any: Upstream's data sample. A detector's has ``pred_instances``: ``bboxes`` (n, 4) as x1, y1, x2, y2,
        ``scores`` (n,) and ``labels`` (n,).
    """
    batch = dict(inputs=[item['inputs']], data_samples=[copy.deepcopy(item['data_samples'])])
    return model.test_step(batch)[0]


def milliseconds(model: nn.Module, items: Sequence[dict], repeats: int = 60) -> float:
    """Measure the time of one image on one core.

    Args:
        model (nn.Module): In eval mode.
        items (Sequence[dict]): Items of :func:`load_test_set`, used in turn.
        repeats (int): Number of images.

    Returns:
        float: The median, without the first ten.
    """
    threads, times = torch.get_num_threads(), []
    torch.set_num_threads(1)
    for index in range(repeats):
        start = time.perf_counter()
        predict(model, items[index % len(items)])
        times.append(1000 * (time.perf_counter() - start))
    torch.set_num_threads(threads)
    return statistics.median(times[10:])
