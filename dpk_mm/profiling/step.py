"""What benchmark.py runs: student, teacher and distiller of a config, on one batch that is made up."""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.runner import Runner, set_random_seed
from torch import Tensor, nn

from dpk_mm.compare.fairness import student_optimizer
from dpk_mm.engine import ChannelsLastHook
from dpk_mm.profiling.cost import Task, peak_memory_of, storage_bytes, tensors_in
from dpk_mm.profiling.parts import Parts, find_parts
from dpk_mm.utils import cli, is_detector, is_distiller
from dpk_mm.utils.cli import enable_amp
from dpk_mm.utils.quiet import quiet

BOXES = 7  # COCO has 7.3 objects an image
STUDENT, TEACHER, WHOLE = 'student', 'teacher', 'whole'
OWN_OPTIMIZER, WHOLE_OPTIMIZER = "student's optimizer", 'all optimizers'


class Bench:
    """A config's distiller, and a copy of its student that trains alone.

    Weights are random, the teacher's too: what a step costs does not depend on them. Learning rates are a
    thousandth of the config's, so that made-up images at full rate, without warm-up, lead to no overflow.

    Args:
        cfg (Config): Of a distiller.
        args (argparse.Namespace): Of benchmark.py; ``batch_size`` and ``input_shape`` may be None.

    Attributes:
        model (BaseDistiller): With student and teacher.
        student (nn.Module): The copy.
        batch_size (int): Images.
        input_shape (tuple[int, int]): Their height and width in pixels.
    """

    def __init__(self, cfg: Config, args: argparse.Namespace) -> None:
        hooks = cfg.get('custom_hooks') or []
        is_channels_last = any(cli.type_name(hook) == ChannelsLastHook.__name__ for hook in hooks)
        cfg = _prepare(cfg, args)
        alone = copy.deepcopy(student_optimizer(cfg.optim_wrapper))
        if alone.get('constructor') is None:
            alone.pop('constructor', None)
        torch.set_num_threads(args.threads)
        with tempfile.TemporaryDirectory() as folder:
            # moves the model to the GPU if there is one, whatever --device says
            runner = _make_runner(cfg, Path(folder))
            self.model = runner.model
            self.device = torch.device(args.device)
            self.model.to(self.device).train()
            if is_channels_last:
                ChannelsLastHook().before_train(runner)
            self.student = copy.deepcopy(self.model.student)
            cli.build_optimizers(runner)
        self.wrapper = runner.optim_wrapper
        self.student_wrapper = build_optim_wrapper(self.student, alone)
        for wrapper in (self.wrapper, self.student_wrapper):
            for one in _wrappers(wrapper):
                for group in one.optimizer.param_groups:
                    group['lr'] *= 1e-3
        self.is_detector = is_detector(self.student)
        self.batch_size = args.batch_size or _batch_size(cfg)
        default = (800, 1344) if self.is_detector else (224, 224)
        self.input_shape = tuple(args.input_shape or self.model.input_shape or default)
        self.batch = self._make_batch()
        self.steps = 0

    def _make_batch(self) -> dict:
        """Images and their samples, as the dataloader gives them: on the CPU, the images uint8."""
        classes = [getattr(module, 'num_classes', None) for module in self.student.modules()]
        classes = max((number for number in classes if isinstance(number, int)), default=0)
        if classes < 1:
            cli.die(
                f'student: no part of {type(self.student).__name__} has a num_classes to draw labels from'
            )
        if not self.is_detector:
            from mmpretrain.structures import DataSample

            images = torch.randint(0, 256, (self.batch_size, 3, *self.input_shape), dtype=torch.uint8)
            labels = torch.randint(classes, (self.batch_size,))
            return dict(inputs=images, data_samples=[DataSample().set_gt_label(label) for label in labels])
        from mmdet.testing import demo_mm_inputs

        batch = demo_mm_inputs(
            self.batch_size,
            [(3, *self.input_shape)] * self.batch_size,
            num_items=[BOXES] * self.batch_size,
            num_classes=classes + 1,  # it draws from 1 on
            with_mask=getattr(self.student, 'with_mask', False),
        )
        for sample in batch['data_samples']:
            sample.gt_instances.labels -= 1
            sample.ignored_instances = sample.ignored_instances[:0]  # crowds, which are rare
        return batch

    def tasks(self) -> Dict[str, Task]:
        """What is measured in turns: the student's step alone, the teacher's forward, the whole step.

        Then the optimizers' part of the two steps, on gradients that are 0.
        """
        return {
            STUDENT: lambda: self._step(self.student, self.student_wrapper),
            TEACHER: self._look,
            WHOLE: lambda: self._step(self.model, self.wrapper),
            OWN_OPTIMIZER: lambda: _update(self.student_wrapper),
            WHOLE_OPTIMIZER: lambda: _update(self.wrapper),
        }

    def _step(self, model: nn.Module, wrapper: OptimWrapper) -> Callable[[], Any]:
        """A training step: preprocessing, forward, backward, update."""
        self.steps += 1
        # the same draws in both steps: with random weights the regions that a two-stage detector samples, and
        # so the work of its heads, are chance
        set_random_seed(0)
        # what the distiller draws depends on this alone
        MessageHub.get_current_instance().update_info('iter', self.steps)
        return partial(model.train_step, copy.deepcopy(self.batch), wrapper)

    def _look(self) -> Callable[[], Dict[str, Tensor]]:
        """The teacher's forward pass, as far as the distiller needs it, on the preprocessed batch."""
        data = self.model.data_preprocessor(copy.deepcopy(self.batch), True)

        def look() -> Dict[str, Tensor]:
            with self.wrapper.optim_context(self.model):
                return self.model.teacher(data['inputs'], self.model.teacher_taps, data['data_samples'])

        return look

    def parts(self) -> Parts:
        """The parts of the stages, from a step that is done for it; see :mod:`dpk_mm.profiling.parts`."""
        step = self._step(self.model, self.wrapper)
        return find_parts(self.model, step, lambda: self.wrapper.optim_context(self.model))

    def ratios(self) -> Dict[str, float]:
        """Stage -> share of teacher tokens, in a step that is done for it."""
        return {
            name.removeprefix('ratio_'): float(value)
            for name, value in self._step(self.model, self.wrapper)().items()
            if name.startswith('ratio_')
        }

    def memory(self) -> Dict[str, Optional[int]]:
        """The peak of each of the three in bytes, on a GPU; to be asked when all have run once."""
        tasks, teacher = self.tasks(), self.model.teacher
        own, own_alone = (
            [one.optimizer for one in _wrappers(w)] for w in (self.wrapper, self.student_wrapper)
        )
        stays = {
            STUDENT: tensors_in(self.student, optimizers=own_alone),
            TEACHER: tensors_in(teacher),
            WHOLE: tensors_in(self.model, teacher, optimizers=own),
        }
        return {name: peak_memory_of(tasks[name], own, self.device) for name, own in stays.items()}

    def sizes(self) -> Dict[str, Tuple[int, int]]:
        """Number of parameters, and bytes of the checkpoint without the state of the optimizers.

        Returns:
            dict: Of the student, the teacher, the modules of distillation (``distiller``), and of what
            training saves (``checkpoint``): student and modules of distillation.
        """
        models = dict(
            student=self.student,
            teacher=self.model.teacher.model,
            distiller=self.model.distiller,
            checkpoint=self.model,
        )
        return {
            name: (sum(p.numel() for p in model.parameters()), storage_bytes(model.state_dict().values()))
            for name, model in models.items()
        }


def _copy_without(cfg: Config, *prefixes: str) -> Config:
    """A copy of a config whose fields that begin so are None, as the runner wants those it shall not use."""
    cfg = copy.deepcopy(cfg)
    for key in list(cfg):
        if key.startswith(prefixes):
            cfg[key] = None
    return cfg


def _make_runner(cfg: Config, work_dir: Path) -> Runner:
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


def _prepare(cfg: Config, args: argparse.Namespace) -> Config:
    """The config without all that a step does not need; exits where something is missing."""
    if not is_distiller(cfg):
        got = f'a {cli.type_name(cfg.model)}' if (cfg.get('model') or {}).get('type') else 'none'
        cli.die(f'{args.config}: model must be a distiller such as dpk_mm.DPKDistiller, got {got}')
    if not isinstance(cfg.model.get('teacher'), dict):
        cli.die(
            f'{args.config}: model.teacher must be a dict with a config, got {cfg.model.get("teacher")!r}'
        )
    if not cfg.get('optim_wrapper'):
        cli.die(f'{args.config}: the config has no optim_wrapper')
    cfg = _copy_without(cfg, 'val_', 'test_', 'param_scheduler', 'load_from')
    cfg.model.teacher.update(checkpoint=None, allow_incomplete=True)
    if args.amp:
        # what overflows at mmengine's own start, 65536, is a step without an update
        cfg.optim_wrapper.setdefault('loss_scale', dict(init_scale=128.0))
        enable_amp(cfg)
    cfg.optim_wrapper.accumulative_counts = 1  # each step is to have its update
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    cfg.train_dataloader = cfg.get('train_dataloader') or {}
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=0)
    return cfg


def _batch_size(cfg: Config) -> int:
    """The config's."""
    size = cfg.train_dataloader.get('batch_size')
    if size is None:
        cli.die('the config has no train_dataloader.batch_size; give --batch-size')
    return size


def _wrappers(wrapper: OptimWrapper) -> List[OptimWrapper]:
    """Those of which there is one for each optimizer."""
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _update(wrapper: OptimWrapper) -> Callable[[], None]:
    """What an optimizer wrapper does when the gradients are there, which here are 0."""
    wrappers = _wrappers(wrapper)
    for one in wrappers:
        for group in one.optimizer.param_groups:
            for parameter in group['params']:
                if parameter.requires_grad:
                    parameter.grad = torch.zeros_like(parameter)

    def update() -> None:
        for one in wrappers:
            # not step(): in mixed precision that wants a backward pass before it
            if one.clip_grad_kwargs:
                one._clip_grad()
            one.optimizer.step()
        wrapper.zero_grad()

    return update
