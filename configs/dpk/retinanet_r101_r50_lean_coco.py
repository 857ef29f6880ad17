# retinanet_r101_r50_coco.py with necks of a twentieth of the cost, see docs/results/speed.md.
_base_ = './retinanet_r101_r50_coco.py'

model = dict(
    stages={
        level: dict(neck=dict(preset='lean', encoder=None, decoder=None))
        for level in ('p4', 'p5', 'p6', 'p7')
    },
)
