# Weights that find themselves, beside those of a search on held-out images and those of papers. Shares and
# weights were chosen by experiments/auto_weight/choose.py from experiments/auto_bccd_tuning.
#   python tools/compare.py experiments/auto_bccd/compare.py --out experiments/auto_bccd
import json

_base_ = '../auto_weight/_base_/bccd.py'
_chosen = json.load(open('experiments/auto_weight/chosen.json'))['bccd']
methods = {
    f'{method}, {kind}': _base_._rows[name] for method, rows in _chosen.items() for kind, name in rows.items()
}
