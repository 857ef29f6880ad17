# Which share of the task's gradient suits, and which weights? Judged on the 59 training images that no run is
# trained on, by seeds that no table uses:
#   python tools/train.py experiments/bccd/configs/retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/auto_bccd_tuning/compare.py --out experiments/auto_bccd_tuning
_base_ = '../auto_weight/_base_/bccd.py'
options = {
    'test_dataloader.dataset': dict(ann_file='train.json', indices=list(range(0, 292, 5))),
    'test_evaluator.ann_file': None,
}
methods = {
    name: row
    for name, row in _base_._rows.items()
    if 'share' in name or name.partition(',')[0] not in _base_._tuned
}
seeds = [100]
