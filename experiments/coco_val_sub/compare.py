# A RetinaNet with MobileNetV2 learns from one with a deeper head on 2,080 images of COCO. All rows but the
# first start with the teacher's neck and head (`init_student`), as in experiments/bccd:
#   python tools/train.py experiments/coco_val_sub/configs/coco-sub_retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/coco_val_sub/compare.py --out experiments/coco_val_sub --jobs 4
_base_ = '../_base_/detection.py'
base = 'experiments/coco_val_sub/configs/coco-sub_retinanet_thin.py'
teacher = dict(
    config='experiments/coco_val_sub/configs/coco-sub_retinanet_fpn128.py',
    checkpoint='work_dirs/coco-sub_retinanet_fpn128/epoch_48.pth',
)
