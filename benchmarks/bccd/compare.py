# A RetinaNet with MobileNetV2 learns to find blood cells from one with a deeper head, for five epochs. All
# rows but the first start with the teacher's neck and head (`init_student`):
#   python tools/train.py configs/bccd/retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py benchmarks/bccd/compare.py --out benchmarks/bccd --jobs 2
_base_ = '../_base_/detection.py'
base = 'configs/bccd/retinanet_thin.py'
teacher = dict(
    config='configs/bccd/retinanet_fpn128.py', checkpoint='work_dirs/retinanet_fpn128/epoch_16.pth'
)
