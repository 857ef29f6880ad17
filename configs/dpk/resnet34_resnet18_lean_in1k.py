# resnet34_resnet18_in1k.py with necks of a ninth of the cost, see docs/results/speed.md.
_base_ = './resnet34_resnet18_in1k.py'

model = dict(
    stages=[
        dict(stage, neck=dict(stage.neck, preset='lean', encoder=None, decoder=None))
        for stage in _base_.model.stages
    ]
)
