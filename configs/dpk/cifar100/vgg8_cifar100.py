# VGG-8 alone on CIFAR-100: the baseline of a student.
_base_ = ['../_base_/models/vgg8_cifar.py', '../_base_/cifar100.py']
