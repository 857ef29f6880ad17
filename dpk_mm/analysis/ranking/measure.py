"""What rank_teachers.py measures of a model: its own metric, its gap to the student, its cost."""

import copy
import time
from collections.abc import Callable
from functools import partial
from numbers import Number
from pathlib import Path
from typing import Any, Dict

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from dpk_mm.analysis.ranking.study import Stages, Study
from dpk_mm.analysis.stats import LEAST_SAMPLES, pair_hsics
from dpk_mm.models import FrozenTeacher
from dpk_mm.profiling.cost import take_turns
from dpk_mm.registry import MODELS
from dpk_mm.utils import cka_from_hsics, cli, load_model_cfg
from dpk_mm.utils.quiet import quiet


def copy_without(cfg: Config, *prefixes: str) -> Config:
    """A copy of a config whose fields that begin so are None, as the runner wants those it shall not use."""
    cfg = copy.deepcopy(cfg)
    for key in list(cfg):
        if key.startswith(prefixes):
            cfg[key] = None
    return cfg


def make_runner(cfg: Config, work_dir: Path) -> Runner:
    """A runner whose log goes to its folder, and nowhere else."""
    # the text of a config is written often, and takes longer to format than a test takes
    cfg = Config(cfg._cfg_dict, format_python_code=False)
    cfg.work_dir = str(work_dir)
    cfg.log_level = 'ERROR'
    cfg.launcher, cfg.resume = 'none', False
    # upstream keeps loggers by name: without one of its own a run logs into the first one's
    cfg.experiment_name = f'{work_dir.name}_{time.time_ns()}'
    backends = [dict(type='mmengine.LocalVisBackend')]
    cfg.visualizer = dict(type='mmengine.Visualizer', vis_backends=backends, name=cfg.experiment_name)
    cfg.default_hooks = dict(checkpoint=None, logger=dict(type='LoggerHook', interval=10))
    # averages of weights and changes of the pipeline are for long runs
    cfg.custom_hooks = []
    cli.fill_dataloaders(
        cfg, ('train_dataloader', 'test_dataloader'), no_pin_memory=True, no_persistent_workers=True
    )
    with quiet():
        return cli.build_runner(cfg)


def evaluate(study: Study, model: Any, weights: Dict[str, Tensor], name: str) -> Dict[str, float]:
    """All metrics of a model (its config and its weights) on the sample; none where a detector found nothing.

    The log goes to the folder ``name``.
    """
    cfg = copy_without(study.cfg, 'train_', 'val_', 'optim_wrapper', 'param_scheduler', 'load_from')
    cfg.test_cfg = dict()
    cfg.test_dataloader = copy.deepcopy(study.sample.loader)
    cfg.test_evaluator = copy.deepcopy(study.cfg[f'{study.sample.part}_evaluator'])
    cfg.model = load_model_cfg(model)
    runner = make_runner(cfg, study.args.out / 'runs' / name)
    runner.model.load_state_dict(weights)
    with quiet():
        _limit_ground_truth(runner)
        metrics = runner.test()
    return {key: float(value) for key, value in metrics.items() if isinstance(value, Number)}


def _limit_ground_truth(runner: Runner) -> None:
    """Tell COCO's metric which images were shown; it would count objects on all others as missed."""
    dataset = runner.test_loop.dataloader.dataset
    for metric in runner.test_loop.evaluator.metrics:
        if hasattr(metric, 'img_ids'):
            metric.img_ids = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]


def measure_gap(study: Study, teacher: FrozenTeacher, stages: Stages) -> Dict[str, float]:
    """Stage -> 1 - CKA of its layers over the whole sample; NaN where it is undefined.

    A stage has the name of the student's layer, with the teacher's where that layer is compared with several.
    """
    own_taps, other_taps = zip(*stages)
    total = torch.zeros(len(stages), 3, dtype=torch.float64)
    for inputs, samples in study.sample:
        own, other = study.model(inputs, own_taps, samples), teacher(inputs, other_taps, samples)
        for values, (own_at, other_at) in zip(total, stages):
            values += pair_hsics(own[own_at], other[other_at], len(inputs) < LEAST_SAMPLES)
    names = [f'{own}={other}' if own_taps.count(own) > 1 else own for own, other in stages]
    return {name: 1 - cka_from_hsics(values).item() for name, values in zip(names, total)}


def measure_cost(study: Study, teacher: FrozenTeacher, stages: Stages, rounds: int = 7) -> float:
    """Time of the teacher's forward pass, as far as stages need it, over that of a student's training step.

    The two take turns on one training batch, so that a change in the machine's speed meets both.
    """
    student = MODELS.build(load_model_cfg(study.student.model)).to(get_device()).train()
    wrapper = OptimWrapper(torch.optim.SGD(student.parameters(), lr=0.0))
    taps = [other for _, other in stages]

    def step() -> Callable[[], Any]:
        return partial(student.train_step, copy.deepcopy(study.train_batch), optim_wrapper=wrapper)

    def look() -> Callable[[], Any]:
        images = study.sample.preprocessor(copy.deepcopy(study.train_batch), True)
        return partial(teacher, images['inputs'], taps, images.get('data_samples'))

    seconds = take_turns(dict(step=step, look=look), rounds)
    # whatever else the machine does can only add time
    return min(seconds['look']) / min(seconds['step'])
