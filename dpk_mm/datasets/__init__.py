"""Data sets: where the registries of ``dpk_mm.registry`` look for them."""

from importlib.util import find_spec

# Made on mmpretrain's BaseDataset; whoever only distils detectors need not have it.
if find_spec('mmpretrain') is not None:
    from .npz_dataset import NpzDataset  # noqa: F401
