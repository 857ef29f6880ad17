"""All modules that configs name as ``dpk_mm.X``."""

from importlib.util import find_spec

from .distillers import *
from .losses import *
from .necks import *
from .priors import *
from .teachers import *

# These are made of mmpretrain's blocks; whoever only distils detectors need not have it.
if find_spec('mmpretrain') is not None:
    from .backbones import *
