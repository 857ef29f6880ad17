# A teacher: deeper, and trained for longer.
_base_ = ['../../../configs/dpk/_base_/models/resnet20_cifar.py', './_base_/teacher.py']
