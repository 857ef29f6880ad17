"""What is profiled: student, teacher and distiller of a config, on one batch that is made up."""

import copy
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.runner import set_random_seed
from torch import Tensor, nn

from dpk_mm.compare.fairness import student_optimizer
from dpk_mm.engine import ChannelsLastHook
from dpk_mm.methods.pair import usual_image
from dpk_mm.registry import MODELS
from dpk_mm.utils import is_detector, is_distiller, is_segmentor, teacher_cfg
from dpk_mm.utils.runner import enable_amp, type_name

from .cost import Task, peak_memory, storage_bytes

BOXES = 7  # COCO has 7.3 objects an image
STUDENT, TEACHER, STEP = 'student', 'teacher', 'step'


class StepSetup:
    """A config's distiller, and a copy of its student that trains alone.

    All weights are random, as the cost of a step does not depend on them. Learning rates are a thousandth of
    the config's, so that made-up images at full rate, without warm-up, lead to no overflow.

    Args:
        cfg (Config): Of a distiller. Data and checkpoints that it names are not read.
        device (torch.device): Where everything runs.
        batch_size (int, optional): Images. Defaults to those of the config's dataloader.
        input_shape (tuple[int, int], optional): Height and width of the images in pixels. Defaults to the
            distiller's, else those of :func:`dpk_mm.methods.pair.usual_image`.
        amp (bool): Train in mixed precision.

    Raises:
        ValueError: The config does not fit; names the field.
        FileNotFoundError: A file that the model names is not there.
        ImportError: A package is not installed.

    Attributes:
        model (BaseDistiller): With student and teacher.
        student (nn.Module): The copy.
        batch (dict): ``inputs``, uint8 images (3, H, W) on the CPU, and ``data_samples``.
    """

    def __init__(
        self,
        cfg: Config,
        device: torch.device,
        batch_size: Optional[int] = None,
        input_shape: Optional[tuple[int, int]] = None,
        amp: bool = False,
    ) -> None:
        cfg = _prepare(cfg, amp)
        set_random_seed(0)
        try:
            self.model = MODELS.build(cfg.model).to(device).train()
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from error
        self.device = device
        if any(type_name(hook) == ChannelsLastHook.__name__ for hook in cfg.get('custom_hooks') or []):
            ChannelsLastHook().before_train(SimpleNamespace(model=self.model))
        self.student = copy.deepcopy(self.model.student)
        self.wrapper = _build_optimizer(self.model, cfg.optim_wrapper)
        self.student_wrapper = _build_optimizer(self.student, student_optimizer(cfg.optim_wrapper))
        self.batch_size = batch_size or (cfg.get('train_dataloader') or {}).get('batch_size')
        if self.batch_size is None:
            raise ValueError('the config has no train_dataloader.batch_size; give --batch-size')
        self.input_shape = tuple(input_shape or self.model.input_shape or usual_image(self.student))
        self.batch = self._make_batch()
        self.steps = 0

    def _make_batch(self) -> dict:
        """Images and their samples, as the dataloader gives them."""
        classes = [getattr(module, 'num_classes', None) for module in self.student.modules()]
        classes = max((number for number in classes if isinstance(number, int)), default=0)
        if classes < 1:
            name = type(self.student).__name__
            raise ValueError(f'student: no part of {name} has a num_classes to draw labels from')
        if is_segmentor(self.student):
            from mmengine.structures import PixelData
            from mmseg.structures import SegDataSample

            images = torch.randint(0, 256, (self.batch_size, 3, *self.input_shape), dtype=torch.uint8)
            labels = torch.randint(classes, (self.batch_size, 1, *self.input_shape))
            samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
            return dict(inputs=list(images), data_samples=samples)
        if not is_detector(self.student):
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

    def tasks(self) -> dict[str, Task]:
        """The student's step alone, the teacher's forward pass, the step of distillation."""
        return {
            STUDENT: partial(self._step, self.student, self.student_wrapper),
            TEACHER: self._look,
            STEP: partial(self._step, self.model, self.wrapper),
        }

    def _step(self, model: nn.Module, wrapper: OptimWrapper) -> Callable[[], dict[str, Tensor]]:
        """A training step: preprocessing, forward, backward, update."""
        self.steps += 1
        # the same draws in both steps: with random weights the regions that a two-stage detector samples, and
        # so the work of its heads, are chance
        set_random_seed(0)
        # what the distiller draws depends on this alone
        MessageHub.get_current_instance().update_info_dict(dict(iter=self.steps, max_iters=10**6))
        return partial(model.train_step, copy.deepcopy(self.batch), wrapper)

    def _look(self) -> Callable[[], dict[str, Tensor]]:
        """The teacher's forward pass, as far as the distiller needs it, on the preprocessed batch."""
        data = self.model.data_preprocessor(copy.deepcopy(self.batch), True)

        def look() -> dict[str, Tensor]:
            with self.wrapper.optim_context(self.model):
                return self.model.teacher(data['inputs'], self.model.teacher_taps, data['data_samples'])

        return look

    def memory(self) -> dict[str, int]:
        """Task -> its peak of memory in bytes; empty on a CPU. All tasks must have run once."""
        if self.device.type != 'cuda':
            return {}
        own = {
            STUDENT: _tensors(self.student, wrapper=self.student_wrapper),
            TEACHER: _tensors(self.model.teacher),
            STEP: _tensors(self.model, self.model.teacher, wrapper=self.wrapper),
        }
        return {name: peak_memory(task, storage_bytes(own[name])) for name, task in self.tasks().items()}

    def parameters(self) -> dict[str, int]:
        """The number of weights of student, teacher, and the modules of distillation."""
        models = dict(student=self.student, teacher=self.model.teacher, distiller=self.model.distiller)
        return {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}


def _prepare(cfg: Config, amp: bool) -> Config:
    """A copy of the config that needs neither data nor checkpoints."""
    cfg = copy.deepcopy(cfg)
    model = cfg.get('model') or {}
    if not model or not is_distiller(model):
        got = f'a {type_name(model)}' if model else 'none'
        raise ValueError(f'model must be a distiller such as dpk_mm.Distiller, got {got}')
    try:
        teacher = teacher_cfg(model.get('teacher'))
    except ValueError as error:
        raise ValueError(f'model.{error}') from error
    if not cfg.get('optim_wrapper'):
        raise ValueError('the config has no optim_wrapper')
    model.teacher = dict(teacher, checkpoint=None, allow_incomplete=True)
    if cfg.get('data_preprocessor'):
        model.setdefault('data_preprocessor', cfg.data_preprocessor)  # as mmengine's runner does
    if amp:
        # what overflows at mmengine's own start, 65536, is a step without an update
        cfg.optim_wrapper.setdefault('loss_scale', dict(init_scale=128.0))
        enable_amp(cfg)
    cfg.optim_wrapper.accumulative_counts = 1  # each step is to have its update
    return cfg


def _build_optimizer(model: nn.Module, cfg: dict) -> OptimWrapper:
    """The optimizer, or several in one, at a thousandth of the learning rates."""
    wrapper = build_optim_wrapper(model, {key: value for key, value in cfg.items() if value is not None})
    for one in _wrappers(wrapper):
        for group in one.optimizer.param_groups:
            group['lr'] *= 1e-3
    return wrapper


def _wrappers(wrapper: OptimWrapper) -> list[OptimWrapper]:
    """Those of which there is one for each optimizer."""
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _tensors(*models: nn.Module, wrapper: Optional[OptimWrapper] = None) -> list[Tensor]:
    """The weights and buffers of models, and the states of an optimizer."""
    tensors = [tensor for model in models for tensor in (*model.parameters(), *model.buffers())]
    states: list[Any] = []
    for one in _wrappers(wrapper) if wrapper else []:
        states += [value for state in one.optimizer.state.values() for value in state.values()]
    return tensors + [value for value in states if isinstance(value, Tensor)]
