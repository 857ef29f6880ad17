"""DPK distillation (dynamic prior knowledge, ICLR 2023) for MMDetection and MMPretrain."""

from dpk_mm.utils.compat import allow_upstream_checkpoints, check_versions, mend_activation_checkpointing
from dpk_mm.version import __version__

check_versions()
allow_upstream_checkpoints()
mend_activation_checkpointing()

__all__ = ['__version__']
