"""All modules that configs name as ``dpk_mm.X``."""

import warnings
from importlib.util import find_spec

from .distillers import *
from .losses import *
from .necks import *
from .priors import *
from .teachers import *

# These are made of mmpretrain's blocks; whoever only distils detectors need not have it.
if find_spec('mmpretrain') is not None:
    try:
        from .backbones import *
    except Exception as error:  # mmpretrain 1.2 raises a TypeError beside transformers 5
        warnings.warn(
            f'mmpretrain does not import here ({type(error).__name__}: {error}): dpk_mm has no classifiers.',
            stacklevel=2,
        )
