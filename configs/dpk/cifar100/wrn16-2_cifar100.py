# WRN-16-2 alone on CIFAR-100: the baseline of a student.
_base_ = ['../_base_/models/wrn16-2_cifar.py', '../_base_/cifar100.py']
