# Which weights? Judged on the images that no run is trained on, by a seed that no table uses. The share is the
# default, which other data have chosen; it is not searched here.
#   python tools/train.py experiments/auto_coco/configs/gfl_2convs.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/auto_coco_tuning/compare.py --out experiments/auto_coco_tuning
_base_ = '../auto_weight/_base_/coco.py'
options = {
    'test_dataloader.dataset': dict(ann_file='train.json', indices=list(range(0, 2312, 10))),
    'test_evaluator.ann_file': None,
}
methods = {name: row for name, row in _base_._rows.items() if 'weight' in name}
seeds = [100]
