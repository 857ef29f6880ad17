"""Train and test with mmengine's own runner."""

import copy
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, Union

import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from dpk_mm.utils.config import as_dict
from dpk_mm.utils.quiet import quiet


def _build_runner(cfg: Config) -> Runner:
    """Build a runner whose log goes to its work dir; only errors reach the screen."""
    # whose text, wanted several times a run, takes half a second to put in style
    cfg = Config(as_dict(cfg), format_python_code=False)
    # upstream keeps loggers and visualizers by name: without names of its own a run logs into the first one's
    cfg.experiment_name = f'{Path(cfg.work_dir).name}_{time.time_ns()}'
    if cfg.get('visualizer'):
        cfg.visualizer.name = cfg.experiment_name
    with quiet():
        runner = Runner.from_cfg(cfg)
    for handler in runner.logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.ERROR)
            handler.setStream(sys.stdout)
    return runner


def train(cfg: Config, hooks: Sequence[Hook] = ()) -> None:
    """Train as a config says, without validation.

    Args:
        cfg (Config): A whole config, with a ``work_dir``.
        hooks (Sequence[Hook]): More of them, beside the config's.
    """
    cfg = copy.deepcopy(cfg)
    for part in ('val', 'test'):
        cfg.update({f'{part}_{key}': None for key in ('cfg', 'dataloader', 'evaluator')})
    runner = _build_runner(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    with quiet():
        runner.train()


def measure(cfg: Config, checkpoint: Union[str, Path]) -> Dict[str, Any]:
    """Test a checkpoint with the plain config of its model, as upstream's tools/test.py does.

    Args:
        cfg (Config): A whole config, with a ``work_dir``.
        checkpoint (str or Path): Weights.

    Returns:
        dict: ``metrics`` of the config's evaluator, those that are numbers, as floats (mmdet gives none where
        nothing at all was detected), and ``params``, the number of parameters.
    """
    cfg = copy.deepcopy(cfg)
    for key in ('train_cfg', 'train_dataloader', 'optim_wrapper', 'param_scheduler'):
        cfg[key] = None
    for key in ('cfg', 'dataloader', 'evaluator'):
        cfg[f'val_{key}'] = None
    cfg.load_from = str(checkpoint)
    runner = _build_runner(cfg)
    with quiet():
        metrics = runner.test()
    metrics = {key: float(value) for key, value in metrics.items() if _is_number(value)}
    return dict(metrics=metrics, params=sum(weight.numel() for weight in runner.model.parameters()))


def _is_number(value: Any) -> bool:
    """Whether a metric is one number, as a tensor of one is; a confusion matrix is none."""
    if not hasattr(value, '__float__'):
        return False
    return (value.numel() if isinstance(value, Tensor) else np.size(value)) == 1
