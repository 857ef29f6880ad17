"""Backbones that MMPretrain lacks: the networks of the CIFAR benchmark, and MobileNetV1."""

from .cifar_mobilenet_v2 import CIFARMobileNetV2
from .cifar_resnet import CIFARResNet
from .cifar_shufflenet_v1 import CIFARShuffleNetV1
from .cifar_shufflenet_v2 import CIFARShuffleNetV2
from .cifar_vgg import CIFARVGG
from .cifar_wide_resnet import CIFARWideResNet
from .mobilenet_v1 import MobileNetV1
from .repdistiller import convert_repdistiller

__all__ = [name for name in dir() if name[0].isupper()]
