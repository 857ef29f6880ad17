# resnet34_resnet18_in1k.py with necks of a ninth of the cost, see docs/results/speed.md.
_base_ = './resnet34_resnet18_in1k.py'

lean = dict(preset='lean', encoder=None, decoder=None)
model = dict(stages=dict(layer4=dict(neck=lean), layer3=dict(neck=lean)))
