"""Feature-mixing necks and their parts."""

from .feature_mixing_neck import FeatureMixingNeck
from .masks import RandomMask, TeacherActivityMask

__all__ = ['FeatureMixingNeck', 'RandomMask', 'TeacherActivityMask']
