"""Distillers: what ``runner.model`` is."""

from .base_distiller import BaseDistiller
from .base_stage import BaseStage
from .distill_stage import DistillStage
from .distiller import Distiller
from .dpk_distiller import DPKDistiller
from .group_stage import GroupStage
from .model_wrapper import ModelWrapper
from .sftn import SFTN
from .student_branch import StudentBranch

__all__ = [name for name in dir() if name[0].isupper()]
