# VGG-13 alone on CIFAR-100: a teacher.
_base_ = ['../_base_/models/vgg13_cifar.py', '../_base_/cifar100.py']
