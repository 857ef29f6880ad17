# The recipe on persons of COCO: the pair, the data and the schedule of experiments/auto_coco, a GFL.
#   python tools/train.py experiments/auto_coco/configs/gfl_2convs.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/recipe_gfl/compare.py --out experiments/recipe_gfl
_base_ = '../recipe/_base_/rows.py'
base = 'experiments/auto_coco/configs/gfl_1conv.py'
teacher = 'experiments/auto_coco/configs/gfl_2convs.py:work_dirs/gfl_2convs/iter_1000.pth'
methods = {name: dict(model=dict(input_shape=(160, 224))) for name in _base_._named}
