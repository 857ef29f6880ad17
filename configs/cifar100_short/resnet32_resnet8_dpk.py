# DPK from a larger teacher.
_base_ = './resnet20_resnet8_dpk.py'

model = dict(
    teacher=dict(config='{{ fileDirname }}/resnet32.py', checkpoint='work_dirs/resnet32/epoch_10.pth'),
)
