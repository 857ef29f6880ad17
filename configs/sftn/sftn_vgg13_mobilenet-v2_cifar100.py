# SFTN on CIFAR-100 across families: a VGG-13 that is easy to learn from for a MobileNetV2. The student takes
# over where its maps have the teacher's size or half of it.
_base_ = '../dpk/cifar100/vgg13_cifar100.py'

model = dict(
    _delete_=True,
    type='dpk_mm.SFTN',
    teacher=_base_.model,
    student='{{ fileDirname }}/../dpk/cifar100/mobilenet-v2_cifar100.py',
    blocks=[
        dict(teacher_at='backbone.layer2', student_at='backbone.layer2'),  # 16 x 16
        dict(teacher_at='backbone.layer3', student_at='backbone.layer3'),  # 8 x 8
        dict(teacher_at='backbone.layer4', student_at='backbone.layer5'),  # 4 x 4
        dict(teacher_at='backbone.layer5', student_at='backbone.layer7'),  # 4 x 4 -> 2 x 2
    ],
    input_shape=(32, 32),
)
