# Another teacher, trained as resnet20.py.
_base_ = './resnet20.py'
model = dict(backbone=dict(depth=32))
