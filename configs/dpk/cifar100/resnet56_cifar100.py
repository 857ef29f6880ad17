# ResNet-56 alone on CIFAR-100: a teacher.
_base_ = ['../_base_/models/resnet56_cifar.py', '../_base_/cifar100.py']
