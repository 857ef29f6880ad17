# DPK from a larger teacher.
_base_ = './resnet20_resnet8_dpk.py'

model = dict(teacher='{{ fileDirname }}/resnet32.py:{{ fileDirname }}/resnet32.pth')
