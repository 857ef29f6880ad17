"""Optimizers: one for the student, one for the modules of distillation."""

from .distill_optim_wrapper_constructor import DistillOptimWrapperConstructor
from .joint_optim_wrapper import JointOptimWrapper

__all__ = [name for name in dir() if name[0].isupper()]
