# DPK from a larger teacher.
_base_ = './resnet20_resnet8_dpk.py'

model = dict(
    teacher=dict(config='{{ fileDirname }}/resnet32.py', checkpoint='{{ fileDirname }}/resnet32.pth'),
)
