# WRN-40-2 alone on CIFAR-100: a teacher.
_base_ = ['../_base_/models/wrn40-2_cifar.py', '../_base_/cifar100.py']
