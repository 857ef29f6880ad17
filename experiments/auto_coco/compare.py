# A weight that finds itself, at the share that other data have chosen, beside weights that were searched for here
# (experiments/auto_coco_tuning) and those of papers: a GFL learns to find persons.
#   python tools/train.py experiments/auto_coco/configs/gfl_2convs.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/auto_coco/compare.py --out experiments/auto_coco
_base_ = ['../auto_weight/_base_/coco.py', '../auto_weight/_base_/chosen_coco.py']
methods = {
    f'{method}, {kind}': _base_._rows[name]
    for method, rows in _base_._chosen.items()
    for kind, name in rows.items()
}
