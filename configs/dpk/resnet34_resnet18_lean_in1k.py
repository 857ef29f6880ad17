# resnet34_resnet18_in1k.py with necks of a ninth of the cost, see docs/results/speed.md.
_base_ = './resnet34_resnet18_in1k.py'

model = dict(
    stages={
        layer: dict(neck=dict(preset='lean', encoder=None, decoder=None)) for layer in ('layer4', 'layer3')
    },
)
