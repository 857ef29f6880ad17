# WRN-40-1 alone on CIFAR-100: the baseline of a student.
_base_ = ['../_base_/models/wrn40-1_cifar.py', '../_base_/cifar100.py']
