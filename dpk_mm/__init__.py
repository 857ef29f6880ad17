"""DPK distillation (dynamic prior knowledge, ICLR 2023) for MMDetection and MMPretrain."""

from dpk_mm.stack import check_stack
from dpk_mm.version import __version__

check_stack()  # before anything imports what may be missing

from dpk_mm.utils.compat import (  # noqa: E402
    allow_upstream_checkpoints,
    find_fork_of_mmseg,
    refuse_unsafe_checkpoints,
)

allow_upstream_checkpoints()
refuse_unsafe_checkpoints()
find_fork_of_mmseg()

__all__ = ['__version__']
