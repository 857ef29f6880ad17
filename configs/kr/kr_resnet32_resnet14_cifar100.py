# KR (knowledge representing; Liu et al., CVPR Workshops 2019): ResNet-32 teaches ResNet-14. The pair is the
# paper's; the formulas are our reading; temperature, threshold and weights are our choice, not tuned. A group
# is all blocks of a stage: five of the teacher's, two of the student's.
_base_ = ['../dpk/_base_/models/resnet14_cifar.py', '../dpk/_base_/cifar100.py']

kr = dict(type='dpk_mm.KRLoss', temperature=1.0, threshold=0.1, l1_weight=0.1, loss_weight=1.0)
model = dict(
    _delete_=True,
    type='dpk_mm.Distiller',
    student=_base_.model,
    teacher=(
        '{{ fileDirname }}/../dpk/cifar100/resnet32_cifar100.py:work_dirs/resnet32_cifar100/epoch_240.pth'
    ),
    input_shape=(32, 32),
    stages={f'layer{i}': dict(at=f'backbone.layer{i}.*', loss=kr) for i in (1, 2, 3)},
)
