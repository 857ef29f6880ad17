"""Teach a narrow ResNet from a bigger one to read digits on the CPU, and show what it was worth.

The images are made from scikit-learn's handwritten digits; the teacher is trained here too, once, and
teaches the students of all seeds. Everything is written below ``--work-dir``.
"""

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, List, Optional

# upstream still imports it, and says so many times
warnings.filterwarnings('ignore', '.*pkg_resources')

import command  # noqa: E402
import data_cls  # noqa: E402
import pool  # noqa: E402

from dpk_mm.utils import read_ratios  # noqa: E402
from dpk_mm.utils import text as report  # noqa: E402

CONFIGS = Path(__file__).resolve().parent / 'configs'
TEACHER = CONFIGS / 'resnet14_digits.py'
STUDENT = CONFIGS / 'resnet8_digits.py'
DISTILLED = {
    'student with logit KD': CONFIGS / 'resnet14_resnet8_kd_digits.py',
    'student with DPK': CONFIGS / 'resnet14_resnet8_digits.py',
}
COLUMNS = {'top-1': ('accuracy/top1', 1)}
STAGES = {'backbone_layer3': 'layer3 (4 × 4)', 'backbone_layer2': 'layer2 (8 × 8)'}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = command.make_parser(__doc__.splitlines()[0], 'work_dirs/demo_cls', seeds=range(3))
    parser.add_argument(
        '--choose', action='store_true', help='test on digits that are kept for choosing settings'
    )
    return parser.parse_args(argv)


def train_models(args: argparse.Namespace, data_root: Path) -> Dict[str, List[Dict[str, Any]]]:
    """Train and test the teacher, with the first seed, and every student with every seed.

    Returns:
        dict: Name of the model -> its results, one a seed.
    """
    teacher = command.make_jobs('teacher', TEACHER, TEACHER, data_root, args)[:1]
    alone = command.make_jobs('student alone', STUDENT, STUDENT, data_root, args)
    rows = pool.run_groups({'teacher': teacher, 'student alone': alone}, args.workers)
    options = {'model.teacher.checkpoint': rows['teacher'][0]['checkpoint']}
    # the longest first, so that no core is left waiting at the end
    groups = {
        name: command.make_jobs(name, DISTILLED[name], STUDENT, data_root, args, options)
        for name in reversed(DISTILLED)
    }
    results = pool.run_groups(groups, args.workers)
    return {**rows, **{name: results[name] for name in DISTILLED}}


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the demo."""
    args = parse_args(argv)
    start = time.monotonic()
    print('Making the data set: handwritten digits', flush=True)
    tested = 'choose' if args.choose else 'test'
    data_root = data_cls.make_dataset(args.work_dir / f'data_{tested}', tested=tested)

    print(f'Training the teacher and the students, {args.workers} at a time, a core each', flush=True)
    rows = train_models(args, data_root)

    print('Measuring times, drawing', flush=True)
    command.add_times(
        rows, {name: TEACHER if name == 'teacher' else STUDENT for name in rows}, data_root, args
    )
    table = command.write_results(rows, COLUMNS, args)
    dpk_dir = Path(rows['student with DPK'][0]['checkpoint']).parent
    report.plot_ratios(read_ratios(dpk_dir), STAGES, args.work_dir / 'ratio.png')
    print(f'\n{table}\n')
    print(*(args.work_dir / name for name in ('table.md', 'results.json', 'ratio.png')), sep='\n')
    print(f'{time.monotonic() - start:.0f} s in all')


if __name__ == '__main__':
    main()
