"""Methods by name: each is a function from what the dry run found (:class:`Pair`) to stages.

A new method is one function, registered as ``METHODS``. It returns what a user could have written as
``stages``, and raises a ``ValueError`` that says why where it does not fit the pair.
"""

from . import crosskd, dpk, kr, logits, maps, start
from .compose import build_stages, merge_stages
from .pair import Level, Pair, find_pair
