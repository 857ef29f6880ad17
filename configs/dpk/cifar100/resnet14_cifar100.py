# ResNet-14 alone on CIFAR-100: the baseline of a student.
_base_ = ['../_base_/models/resnet14_cifar.py', '../_base_/cifar100.py']
