"""Choose shares and weights by what the searches on held-out images gave.

The share of a set is the one with the least mean rank over the set's methods; of equal ones the smaller. Where no share
is searched for, the file of the rows names it. A method's weight is the one that was best, or the one that an earlier
search has found. Writes _base_/chosen_<set>.py: method -> row of the table -> row of the search.

usage: python experiments/auto_weight/choose.py
"""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from mmengine.config import Config

HERE = Path(__file__).parent
METRICS = dict(cifar100='accuracy/top1', bccd='coco/bbox_mAP', coco='coco/bbox_mAP')


def choose(name: str, metric: str) -> dict:
    """Choose for one set."""
    with (HERE.parent / f'auto_{name}_tuning/results.csv').open() as file:
        rows = list(csv.DictReader(file))
    found = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        method, _, setting = row['method'].rpartition(', ')
        if not method:
            continue  # the student alone
        kind, value = setting.split()
        found[method][kind].setdefault(float(value), []).append(float(row[metric]))
    ranks = defaultdict(list)
    for kinds in found.values():
        order = sorted(kinds['share'], key=lambda share: -fmean(kinds['share'][share]))
        for rank, share in enumerate(order):
            ranks[share].append(rank)
    rows = Config.fromfile(HERE / f'_base_/{name}.py')
    # where none was searched for, the one that other data have chosen
    share = min(ranks, key=lambda share: (fmean(ranks[share]), share)) if ranks else rows._share
    published, known = rows._published, rows._tuned
    chosen = {}
    for method, kinds in found.items():
        weight = known.get(method)
        if weight is None:
            weight = max(kinds['weight'], key=lambda weight: fmean(kinds['weight'][weight]))
        chosen[method] = {
            'auto': f'{method}, share {share:g}',
            'tuned': f'{method}, weight {weight:g}',
            'published': f'{method}, weight {published[method]:g}',
        }
    print(
        f'{name}: share {share:g}, mean ranks { ({share: fmean(of) for share, of in sorted(ranks.items())}) }'
    )
    return chosen


def main() -> None:
    """Choose for all sets whose search is there."""
    chosen = {
        name: choose(name, metric)
        for name, metric in METRICS.items()
        if (HERE.parent / f'auto_{name}_tuning/results.csv').is_file()
    }
    for name, methods in chosen.items():
        lines = [f'    {method!r}: {rows!r},' for method, rows in methods.items()]
        text = '\n'.join(['# Written by experiments/auto_weight/choose.py.', '_chosen = {', *lines, '}', ''])
        (HERE / f'_base_/chosen_{name}.py').write_text(text)


if __name__ == '__main__':
    main()
