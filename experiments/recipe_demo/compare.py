# The recipe on the digits of the demo, in three epochs. The images come first:
#   python demo/make_data.py detection work_dirs/demo/data
#   python tools/compare.py experiments/recipe_demo/compare.py --out experiments/recipe_demo
_base_ = '../recipe/_base_/rows.py'
base = 'demo/detection/configs/retinanet_r18_digits.py'
teacher = 'demo/detection/configs/retinanet_r34_digits.py:demo/detection/configs/retinanet_r34_digits.pth'
budget = dict(max_epochs=3)
methods = {name: dict(model=dict(input_shape=(128, 128))) for name in _base_._named}
