"""Methods by name: each is a function from what the dry run found (:class:`Pair`) to stages.

A new method is one function, registered as ``METHODS``. It returns what a user could have written as
``stages``, and raises a ``ValueError`` that says why where it does not fit the pair.
"""

from .compose import build_stages, merge_stages
from .crosskd import crosskd
from .dpk import dpk, dpk_paper
from .kr import kr
from .logits import dist, dkd, kd, lskd, lskd_dkd, nkd, rld, wttm
from .maps import at, cwd, fgd, fitnet, mgd, pkd, score_mse, sp, spatial_cosine, wkdf
from .pair import Level, Pair, find_pair
from .start import start

__all__ = [
    'Level',
    'Pair',
    'at',
    'build_stages',
    'crosskd',
    'cwd',
    'dist',
    'dkd',
    'dpk',
    'dpk_paper',
    'fgd',
    'find_pair',
    'fitnet',
    'kd',
    'kr',
    'lskd',
    'lskd_dkd',
    'merge_stages',
    'mgd',
    'nkd',
    'pkd',
    'rld',
    'score_mse',
    'sp',
    'spatial_cosine',
    'start',
    'wkdf',
    'wttm',
]
