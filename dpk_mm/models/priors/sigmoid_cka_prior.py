"""Ablation of the dynamic prior."""

import math

from dpk_mm.registry import MODELS

from .cka_prior import CKAPrior


@MODELS.register_module()
class SigmoidCKAPrior(CKAPrior):
    """1 - sigmoid(CKA): the dynamic prior squeezed into 0.27 to about 0.5 (authors' code).

    It takes the arguments of :class:`CKAPrior`.
    """

    def from_cka(self, cka: float) -> float:
        """1 - sigmoid(CKA)."""
        return 1 / (1 + math.exp(cka))
