# ResNet-32 alone on CIFAR-100: a teacher, and the baseline of a student.
_base_ = ['../_base_/models/resnet32_cifar.py', '../_base_/cifar100.py']
