# ResNet-110 alone on CIFAR-100: a teacher.
_base_ = ['../_base_/models/resnet110_cifar.py', '../_base_/cifar100.py']
