# The recipe on persons of COCO: data and schedule of experiments/auto_coco, a Faster R-CNN.
#   python tools/train.py experiments/recipe/configs/faster-rcnn_fc1024_persons.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/recipe_faster-rcnn/compare.py --out experiments/recipe_faster-rcnn
_base_ = '../recipe/_base_/rows.py'
_folder = 'experiments/recipe/configs'
base = f'{_folder}/faster-rcnn_fc128_persons.py'
teacher = f'{_folder}/faster-rcnn_fc1024_persons.py:work_dirs/faster-rcnn_fc1024_persons/iter_1000.pth'
methods = {name: dict(model=dict(input_shape=(160, 224))) for name in _base_._named}
