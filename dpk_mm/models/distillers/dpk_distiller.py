"""The distiller of DPK."""

from typing import Any

from dpk_mm.registry import MODELS

from .distiller import Distiller, Method


@MODELS.register_module()
class DPKDistiller(Distiller):
    """Dynamic prior knowledge: :class:`Distiller` with ``method='dpk'``.

    Source: Qiu et al., "Better Teacher Better Student: Dynamic Prior Knowledge for Knowledge Distillation",
    ICLR 2023. Its stages have a :class:`dpk_mm.FeatureMixingNeck`, and a prior such as
    :class:`dpk_mm.CKAPrior` that sets the prior ratio: the share of the teacher's tokens that the neck gets.

    Args:
        *args (Any): As for :class:`Distiller`.
        method (str, optional): Defaults to ``'dpk'``: lean necks, and what led on real data (ours).
            ``'dpk-paper'`` has the sizes, losses and weights of the authors' code. With None, as in the
            configs of ``configs/dpk``, ``stages`` says all.
        **kwargs (Any): As for :class:`Distiller`.
    """

    def __init__(self, *args: Any, method: Method = 'dpk', **kwargs: Any) -> None:
        super().__init__(*args, method=method, **kwargs)
