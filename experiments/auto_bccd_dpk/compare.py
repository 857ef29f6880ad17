# DPK on blood cells: a weight that finds itself, at the share that the other methods have chosen, beside the weight
# of the search (experiments/bccd_tuning) and the published one. Another machine, thus another teacher, than
# experiments/auto_bccd.
#   python tools/train.py experiments/bccd/configs/retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/auto_bccd_dpk/compare.py --out experiments/auto_bccd_dpk
_base_ = '../auto_weight/_base_/bccd.py'
methods = {
    'dpk, auto': _base_._rows['dpk, share 0.3'],
    'dpk, tuned': _base_._rows['dpk, weight 3'],
    'dpk, published': _base_._rows['dpk, weight 10'],
}
