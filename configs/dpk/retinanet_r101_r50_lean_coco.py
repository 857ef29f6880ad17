# retinanet_r101_r50_coco.py with necks of a twentieth of the cost, see docs/results/speed.md.
_base_ = './retinanet_r101_r50_coco.py'

model = dict(
    stages=[
        dict(stage, neck=dict(stage.neck, preset='lean', encoder=None, decoder=None))
        if 'neck' in stage
        else stage
        for stage in _base_.model.stages
    ]
)
