"""Losses of distillation: each is called with (student, teacher, data_samples)."""

from .feature_mse_loss import FeatureMSELoss
from .fgd_loss import FGDLoss
from .logits_kl_loss import LogitsKLLoss

__all__ = ['FGDLoss', 'FeatureMSELoss', 'LogitsKLLoss']
