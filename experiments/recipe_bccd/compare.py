# The recipe on blood cells: the pair, the data and the schedule of experiments/bccd.
#   python tools/train.py experiments/bccd/configs/retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/recipe_bccd/compare.py --out experiments/recipe_bccd
_base_ = '../recipe/_base_/rows.py'
base = 'experiments/bccd/configs/retinanet_thin.py'
teacher = 'experiments/bccd/configs/retinanet_fpn128.py:work_dirs/retinanet_fpn128/epoch_16.pth'
methods = {name: dict(model=dict(input_shape=(240, 320))) for name in _base_._named}
