"""Data sets: where the registries of ``dpk_mm.registry`` look for them."""

from .cifar100 import CIFAR100

__all__ = ['CIFAR100']
