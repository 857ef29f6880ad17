# The student alone.
_base_ = ['../../../configs/dpk/_base_/models/resnet8_cifar.py', './_base_/short.py']
