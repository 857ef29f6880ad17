"""Teachers: frozen models that show their features."""

from .frozen_teacher import FrozenTeacher
from .renormalize import Renormalize

__all__ = ['FrozenTeacher', 'Renormalize']
