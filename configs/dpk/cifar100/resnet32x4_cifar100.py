# ResNet-32x4 alone on CIFAR-100: a teacher.
_base_ = ['../_base_/models/resnet32x4_cifar.py', '../_base_/cifar100.py']
