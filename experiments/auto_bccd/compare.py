# Weights that find themselves, beside those of a search on held-out images and those of papers. Shares and
# weights were chosen by experiments/auto_weight/choose.py from experiments/auto_bccd_tuning.
#   python tools/train.py experiments/bccd/configs/retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/auto_bccd/compare.py --out experiments/auto_bccd
_base_ = ['../auto_weight/_base_/bccd.py', '../auto_weight/_base_/chosen_bccd.py']
methods = {
    f'{method}, {kind}': _base_._rows[name]
    for method, rows in _base_._chosen.items()
    for kind, name in rows.items()
}
