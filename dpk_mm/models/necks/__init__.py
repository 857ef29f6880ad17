"""Feature-mixing necks and their parts."""

from .feature_mixing_neck import FeatureMixingNeck
from .masks import RandomMask, TeacherActivityMask

__all__ = [name for name in dir() if name[0].isupper()]
