# Score-weighted squared error, as ultralytics trains YOLO (2026), RetinaNet R101 -> R50. Its weight was not
# at hand, so the weights find themselves.
_base_ = './_base_/baselines_coco.py'

mse = dict(type='dpk_mm.ScoreWeightedMSELoss', loss_weight='auto')
model = dict(
    stages={
        name: dict(student_at=[at], teacher_at=[at, at.replace('neck', 'bbox_head[0]')], loss=mse)
        for name, at in _base_.levels.items()
    }
)
