"""Losses of distillation: each is called with (student, teacher, data_samples).

A class that can compare one kind of features only says ``takes = 'maps'``, (B, C, H, W), or ``'logits'``,
(B, K). One that compares maps whatever their channels says ``any_channels = True``, and gets no adapter. One
that has an attribute ``stage`` is told the name of the stage it serves. One that says ``grouped = True``
compares groups of layers: student and teacher are tuples of maps.

In the losses of other methods than DPK, [P] is that method's paper, [A] its authors' code, [B] the public
benchmark code (RepDistiller and mdistiller for CIFAR-100, MMRazor for the rest), [O] our choice.
"""

from .at_loss import ATLoss
from .cwd_loss import CWDLoss
from .dist_loss import DISTLoss
from .dkd_loss import DKDLoss
from .feature_mse_loss import FeatureMSELoss
from .fgd_loss import FGDLoss
from .kr_loss import KRLoss
from .logits_kl_loss import LogitsKLLoss
from .mgd_loss import MGDLoss
from .pkd_loss import PKDLoss
from .sp_loss import SPLoss

__all__ = [
    'ATLoss',
    'CWDLoss',
    'DISTLoss',
    'DKDLoss',
    'FGDLoss',
    'FeatureMSELoss',
    'KRLoss',
    'LogitsKLLoss',
    'MGDLoss',
    'PKDLoss',
    'SPLoss',
]
