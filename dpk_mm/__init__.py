"""DPK distillation (dynamic prior knowledge, ICLR 2023) for MMDetection and MMPretrain."""

from dpk_mm.utils.compat import allow_upstream_checkpoints, check_versions
from dpk_mm.version import __version__

check_versions()
allow_upstream_checkpoints()

__all__ = ['__version__']
