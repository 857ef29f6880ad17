"""All modules that configs name as ``dpk_mm.X``."""

from importlib.util import find_spec

from .distillers import SFTN, BaseDistiller, DistillStage, DPKDistiller, GroupStage
from .losses import (
    ATLoss,
    CWDLoss,
    DISTLoss,
    DKDLoss,
    FeatureMSELoss,
    FGDLoss,
    KRLoss,
    LogitsKLLoss,
    MGDLoss,
    PKDLoss,
    SPLoss,
)
from .necks import FeatureMixingNeck, RandomMask, TeacherActivityMask
from .priors import (
    BasePrior,
    CKAPrior,
    CosinePrior,
    ExponentialPrior,
    FixedPrior,
    LinearPrior,
    MeasuredPrior,
    SigmoidCKAPrior,
    UniformPrior,
)
from .teachers import FrozenTeacher

# Made of mmpretrain's blocks; whoever only distils detectors need not have it.
if find_spec('mmpretrain') is not None:
    from . import backbones  # noqa: F401

__all__ = [
    'SFTN',
    'ATLoss',
    'BaseDistiller',
    'BasePrior',
    'CKAPrior',
    'CWDLoss',
    'CosinePrior',
    'DISTLoss',
    'DKDLoss',
    'DPKDistiller',
    'DistillStage',
    'ExponentialPrior',
    'FGDLoss',
    'FeatureMSELoss',
    'FeatureMixingNeck',
    'FixedPrior',
    'FrozenTeacher',
    'GroupStage',
    'KRLoss',
    'LinearPrior',
    'LogitsKLLoss',
    'MGDLoss',
    'MeasuredPrior',
    'PKDLoss',
    'RandomMask',
    'SPLoss',
    'SigmoidCKAPrior',
    'TeacherActivityMask',
    'UniformPrior',
]
