# SFTN: the ResNet-20 of resnet20.py by the same schedule, made easy to learn from for ResNet-8. What it
# learned is kept in sftn_resnet20_resnet8.pth, a plain checkpoint that resnet20.py opens.
_base_ = './resnet20.py'

model = dict(
    _delete_=True,
    type='dpk_mm.SFTN',
    teacher=_base_.model,
    student='{{ fileDirname }}/resnet8.py',
    blocks=['backbone.layer1', 'backbone.layer2', 'backbone.layer3'],
    input_shape=(32, 32),
)
