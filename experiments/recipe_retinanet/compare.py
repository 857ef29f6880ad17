# The recipe on persons of COCO: data and schedule of experiments/auto_coco, a RetinaNet.
#   python tools/train.py experiments/recipe/configs/retinanet_2convs_persons.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/recipe_retinanet/compare.py --out experiments/recipe_retinanet
_base_ = '../recipe/_base_/rows.py'
_folder = 'experiments/recipe/configs'
base = f'{_folder}/retinanet_1conv_persons.py'
teacher = f'{_folder}/retinanet_2convs_persons.py:work_dirs/retinanet_2convs_persons/iter_1000.pth'
methods = {name: dict(model=dict(input_shape=(160, 224))) for name in _base_._named}
