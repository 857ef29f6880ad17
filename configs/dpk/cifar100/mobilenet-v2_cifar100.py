# MobileNetV2 at half width alone on CIFAR-100: the baseline of a student.
_base_ = ['../_base_/models/mobilenet-v2_cifar.py', '../_base_/cifar100.py']
# The benchmark trains the light networks at a fifth of the others' learning rate.
optim_wrapper = dict(optimizer=dict(lr=0.01))
