"""The distiller of DPK."""

from dpk_mm.registry import MODELS

from .distiller import Distiller


@MODELS.register_module()
class DPKDistiller(Distiller):
    """Dynamic prior knowledge: the name that configs of DPK give to :class:`Distiller`.

    Source: Qiu et al., "Better Teacher Better Student: Dynamic Prior Knowledge for Knowledge Distillation",
    ICLR 2023. Its stages have a :class:`dpk_mm.FeatureMixingNeck`, and a prior such as
    :class:`dpk_mm.CKAPrior` that sets the prior ratio: the share of the teacher's tokens that the neck gets.
    """
