"""Distillers: what ``runner.model`` is."""

from .base_distiller import BaseDistiller
from .distill_stage import DistillStage
from .dpk_distiller import DPKDistiller

__all__ = ['BaseDistiller', 'DPKDistiller', 'DistillStage']
