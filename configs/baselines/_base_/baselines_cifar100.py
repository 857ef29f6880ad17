# What the baselines on CIFAR-100 share: configs/dpk's student, teacher and recipe. One optimizer for all, the
# student's, as is usual where no more than an adapter is trained beside it.
_base_ = ['../../dpk/_base_/models/resnet8x4_cifar.py', '../../dpk/_base_/cifar100.py']

model = dict(
    _delete_=True,
    type='dpk_mm.Distiller',
    student=_base_.model,
    teacher=(
        '{{ fileDirname }}/../../dpk/cifar100/resnet32x4_cifar100.py'
        ':work_dirs/resnet32x4_cifar100/epoch_240.pth'
    ),
    input_shape=(32, 32),
)
