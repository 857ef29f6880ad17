# SFTN on CIFAR-100: a ResNet-56 that is easy to learn from for a ResNet-20, by the teacher's own recipe.
_base_ = '../dpk/cifar100/resnet56_cifar100.py'

model = dict(
    _delete_=True,
    type='dpk_mm.SFTN',
    teacher=_base_.model,
    student='{{ fileDirname }}/../dpk/cifar100/resnet20_cifar100.py',
    blocks=['backbone.layer1', 'backbone.layer2', 'backbone.layer3'],
    input_shape=(32, 32),
)
