"""Teachers: frozen models that show their features."""

from .frozen_teacher import FrozenTeacher
from .renormalize import Renormalize

__all__ = [name for name in dir() if name[0].isupper()]
