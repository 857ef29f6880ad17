# SFTN: the ResNet-20 of resnet20.py by the same schedule, made easy to learn from for ResNet-8.
_base_ = './resnet20.py'

model = dict(
    _delete_=True,
    type='dpk_mm.SFTN',
    teacher=_base_.model,
    student='experiments/cifar100_short/configs/resnet8.py',
    blocks=['backbone.layer1', 'backbone.layer2', 'backbone.layer3'],
    input_shape=(32, 32),
)
