"""Check what a training was built of: optimizer, schedules and data."""

from pathlib import Path
from typing import Union

from mmengine.dataset import BaseDataset
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from dpk_mm.utils.config import main_field
from dpk_mm.utils.errors import FieldError
from dpk_mm.utils.unwrap import unwrap


def check_trained(model: nn.Module, wrapper: Union[OptimWrapper, OptimWrapperDict]) -> None:
    """Refuse a distillation in which the student, or a module of distillation, would not be trained.

    Args:
        model (nn.Module): Any model; one that does not distil passes.
        wrapper (OptimWrapper or OptimWrapperDict): Of the training.

    Raises:
        FieldError: All of the student is frozen, or an optimizer leaves out modules of distillation.
    """
    model = unwrap(model)
    added, student = getattr(model, 'distiller', None), getattr(model, 'wrapped', None)
    if added is None or student is None:
        return
    if not any(weight.requires_grad for weight in student.parameters()):
        raise FieldError(
            'model', ': all weights of the model that is trained are frozen: nothing would be learned.'
        )
    each = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    held = {id(weight) for one in each for group in one.optimizer.param_groups for weight in group['params']}
    left = [
        f'distiller.{name}'
        for name, weight in added.named_parameters()
        if weight.requires_grad and id(weight) not in held
    ]
    if left:
        raise FieldError(
            'optim_wrapper',
            f' leaves out {len(left)} weights of the modules of distillation, such as {left[0]}: give '
            "another constructor, such as 'dpk_mm.DistillOptimWrapperConstructor'.",
        )


def check_classes(runner: Runner) -> None:
    """Refuse data with more classes than the head of the model has.

    Raises:
        FieldError: Names the field of the head, and both numbers. Or no class is in the data.
    """
    dataset = getattr(runner.train_loop.dataloader, 'dataset', None)
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if classes and getattr(dataset, 'cat_ids', None) == []:  # of mmdet's, by name
        raise FieldError(
            'train_dataloader.dataset.metainfo.classes',
            f': none of {", ".join(map(str, classes))} is in its ann_file: nothing would be learned.',
        )
    model = unwrap(runner.model)
    main = main_field(runner.cfg)
    model = model if main is None else getattr(model, main)
    for path in ('head', 'bbox_head', 'roi_head.bbox_head'):
        head = model
        for name in path.split('.'):
            head = getattr(head, name, None)
        number = getattr(head, 'num_classes', None) if isinstance(head, nn.Module) else None
        if classes and isinstance(number, int) and number < len(classes):
            field = '.'.join(filter(None, ['model', main, path, 'num_classes']))
            raise FieldError(field, f' is {number}, but train_dataloader.dataset has {len(classes)} classes.')


def check_first_image(loader: DataLoader) -> None:
    """Refuse data whose first image is not there; one in a storage is left to the first step."""
    dataset = getattr(loader, 'dataset', None)
    first = dataset.get_data_info(0) if isinstance(dataset, BaseDataset) and len(dataset) else {}
    path = first.get('img_path')
    loads = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    is_local = not any(getattr(load, 'backend_args', None) for load in loads)
    if is_local and isinstance(path, str) and '://' not in path and not Path(path).exists():
        raise FieldError('train_dataloader.dataset.data_prefix', f': no such image: {path}.')


def check_schedules(runner: Runner) -> None:
    """Refuse schedules of optimizers that are not there."""
    schedules, wrapper = runner.param_schedulers, runner.optim_wrapper
    if not isinstance(schedules, dict) or 'type' in schedules:
        return
    names = list(wrapper.keys()) if isinstance(wrapper, OptimWrapperDict) else []
    if not names or not set(names) <= set(schedules):
        expected = f'schedules for {names}' if names else 'a list, as there is one optimizer'
        raise ValueError(f'param_scheduler has schedules for {sorted(schedules)}; expected {expected}')
