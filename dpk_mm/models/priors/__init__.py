"""Priors: the prior ratio of a stage, which is the share of tokens that the teacher fills."""

from .base_prior import BasePrior
from .cka_prior import CKAPrior
from .cosine_prior import CosinePrior
from .exponential_prior import ExponentialPrior
from .fixed_prior import FixedPrior
from .linear_prior import LinearPrior
from .measured_prior import MeasuredPrior
from .sigmoid_cka_prior import SigmoidCKAPrior
from .uniform_prior import UniformPrior

__all__ = [name for name in dir() if name[0].isupper()]
