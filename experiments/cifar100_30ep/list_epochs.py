"""List what the runs of cifar100_30ep reach after each epoch, in epochs.csv.

usage: PYTHONPATH=$PWD python experiments/cifar100_30ep/list_epochs.py WORK_DIR OUT [INPUT]
"""

import csv
import json
import sys
from pathlib import Path

from mmengine.config import Config

from dpk_mm.compare import inputs
from dpk_mm.compare.run import run_folder


def main(work_dir: str, out: str, given: str = 'experiments/cifar100_30ep/compare.py') -> None:
    """Write the file: one line an epoch of each run that is finished."""
    with (Path(out) / 'epochs.csv').open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['method', 'seed', 'epoch', 'top1'])
        for row in inputs.read(Config.fromfile(given)).rows:
            for seed in row.seeds:
                folder = run_folder(Path(work_dir), row.name, seed)
                if (folder / 'result.json').exists():
                    reached = read_epochs(folder)
                    writer.writerows(
                        [row.name, seed, epoch, f'{reached[epoch]:.2f}'] for epoch in sorted(reached)
                    )


def read_epochs(folder: Path) -> dict:
    """Epoch -> top-1; where a run was resumed, the later log counts."""
    reached = {}
    for log in sorted(folder.rglob('scalars.json')):
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            if 'test/top1' in entry:
                reached[entry['step']] = entry['test/top1']
    return reached


if __name__ == '__main__':
    main(*sys.argv[1:])
