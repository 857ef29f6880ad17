"""Losses of distillation: subclasses of :class:`DistillLoss`, which says what a loss is.

A new loss is one file here and one import below. The labels of the docstrings: "(paper)" is the paper of the
method, "(authors' code)" is its authors' code, "(benchmark code)" is the public code that compares methods
(RepDistiller and mdistiller for CIFAR-100, MMRazor for the rest), "(ours)" is our choice.
"""

from .at_loss import ATLoss
from .crosskd_loss import CrossKDLoss
from .cwd_loss import CWDLoss
from .dist_loss import DISTLoss
from .distill_loss import DistillLoss
from .dkd_loss import DKDLoss
from .feature_mse_loss import FeatureMSELoss
from .fgd_loss import FGDLoss
from .kr_loss import KRLoss
from .logits_kl_loss import LogitsKLLoss
from .mgd_loss import MGDLoss
from .nkd_loss import NKDLoss
from .pkd_loss import PKDLoss
from .rld_loss import RLDLoss
from .score_weighted_mse_loss import ScoreWeightedMSELoss
from .sp_loss import SPLoss
from .spatial_cosine_loss import SpatialCosineLoss
from .wkdf_loss import WKDFLoss
from .wttm_loss import WTTMLoss

__all__ = [name for name in dir() if name[0].isupper()]
