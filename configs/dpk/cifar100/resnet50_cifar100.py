# ResNet-50 alone on CIFAR-100: a teacher.
_base_ = ['../_base_/models/resnet50_cifar.py', '../_base_/cifar100.py']
