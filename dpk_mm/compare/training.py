"""Train and test the models of the demos with mmengine's own runner."""

import copy
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Dict, Optional, Union

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dpk_mm.utils.quiet import quiet


class ProgressHook(Hook):
    """Report every step.

    Args:
        report (Callable): Called with the steps done and the steps in all.
    """

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self.report = report

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Report."""
        self.report(runner.iter + 1, runner.max_iters)


def load_config(
    path: Union[str, Path],
    data_root: Union[str, Path],
    work_dir: Union[str, Path],
    seed: int,
    epochs: Optional[int] = None,
    options: Optional[Dict[str, Any]] = None,
) -> Config:
    """Load a config of ``demo/configs`` and point it at the data.

    Args:
        path (str or Path): The config.
        data_root (str or Path): Folder that a ``make_dataset`` of the demos made.
        work_dir (str or Path): Folder of logs and checkpoints.
        seed (int): Seed of weights and data order.
        epochs (int, optional): Another length of the schedule than the config's.
        options (dict, optional): More to set in the config, as ``--cfg-options`` does.

    Returns:
        Config: The config.
    """
    with quiet():
        cfg = Config.fromfile(path)
    cfg.work_dir = str(work_dir)
    cfg.randomness = dict(seed=seed)
    cfg.merge_from_dict(options or {})
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(data_root)
    for split in ('val', 'test'):
        # detection's evaluator reads the annotations itself
        if 'ann_file' in cfg[f'{split}_evaluator']:
            cfg[f'{split}_evaluator'].ann_file = str(Path(data_root) / 'val.json')
    if epochs is not None:
        cfg.train_cfg.max_epochs = cfg.param_scheduler[-1].end = epochs
    return cfg


def _build_runner(cfg: Config) -> Runner:
    """Build a runner whose log goes to its work dir; only errors reach the screen."""
    cfg = copy.deepcopy(cfg)
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


def train(
    cfg: Config, report: Optional[Callable[[int, int], None]] = None, hooks: Sequence[Hook] = ()
) -> Path:
    """Train as a config says.

    Args:
        cfg (Config): From :func:`load_config`.
        report (Callable, optional): Called after every step with the steps done and the steps in all.
        hooks (Sequence[Hook]): More of them, beside the config's.

    Returns:
        Path: The last checkpoint.
    """
    work_dir = Path(cfg.work_dir)
    # evaluated once, at the end, by evaluate()
    cfg = copy.deepcopy(cfg)
    for part in ('val', 'test'):
        cfg.update({f'{part}_{key}': None for key in ('cfg', 'dataloader', 'evaluator')})
    runner = _build_runner(cfg)
    if report is not None:
        runner.register_hook(ProgressHook(report))
    for hook in hooks:
        runner.register_hook(hook)
    with quiet():
        runner.train()
    return work_dir / f'epoch_{runner.max_epochs}.pth'


def evaluate(cfg: Config, checkpoint: Union[str, Path]) -> Dict[str, float]:
    """Test a checkpoint with the plain config of its model, as upstream's tools/test.py does.

    Args:
        cfg (Config): From :func:`load_config`.
        checkpoint (str or Path): Weights.

    Returns:
        dict: The metrics of the config's evaluator, and the number of parameters, ``params``. mmdet gives no
        metric where nothing at all was detected.
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
    return dict(metrics, params=sum(weight.numel() for weight in runner.model.parameters()))


def measure(cfg: Config, checkpoint: Union[str, Path]) -> Dict[str, Any]:
    """Test as :func:`evaluate` does, for files: the metrics are plain floats, apart from the size.

    Args:
        cfg (Config): From :func:`load_config`.
        checkpoint (str or Path): Weights.

    Returns:
        dict: ``metrics``, those that are numbers, as a tensor of one number is, and ``params``.
    """
    metrics = evaluate(cfg, checkpoint)
    params = metrics.pop('params')
    metrics = {key: float(value) for key, value in metrics.items() if hasattr(value, '__float__')}
    return dict(metrics=metrics, params=params)


def save_small(checkpoint: Union[str, Path], path: Union[str, Path], note: str) -> None:
    """Keep the weights of a checkpoint in half precision, without optimizer and log.

    Args:
        checkpoint (str or Path): What mmengine saved.
        path (str or Path): File to write.
        note (str): How it was made; kept in its ``meta``.
    """
    saved = torch.load(checkpoint, map_location='cpu', weights_only=True)
    weights = {k: v.half() if v.is_floating_point() else v for k, v in saved['state_dict'].items()}
    meta = dict(dataset_meta=saved['meta']['dataset_meta'], note=note)
    torch.save(dict(meta=meta, state_dict=weights), path)
