"""Choose the weight of the maps' loss for cifar100_30ep: the one with the best mean rank over the methods.

usage: PYTHONPATH=$PWD python experiments/cifar100_30ep_tuning/choose.py [RESULTS.csv]
"""

import sys
from pathlib import Path
from typing import Dict

from scipy.stats import rankdata

from dpk_mm.compare import csv_files, table


def main(results: str = str(Path(__file__).with_name('results.csv'))) -> None:
    """Print the mean ranks and the choice; of equal ones the smaller weight is chosen."""
    found: Dict[str, Dict[float, float]] = {}
    runs = csv_files.read_csv(Path(results).read_text(encoding='utf-8'))
    for name, seeds in table.values(runs, 'accuracy/top1').items():
        method, _, weight = name.rpartition(', ')
        if method:  # 'kd' has no weight
            found.setdefault(method, {})[float(weight)] = next(iter(seeds.values()))
    weights = sorted(next(iter(found.values())))
    ranks = [rankdata([-own[weight] for weight in weights]) for own in found.values()]
    means = [sum(column) / len(found) for column in zip(*ranks)]
    for weight, mean in zip(weights, means):
        print(f'{weight:g}: mean rank {mean:.2f}')
    print(f'_weight = {weights[means.index(min(means))]}')


if __name__ == '__main__':
    main(*sys.argv[1:])
