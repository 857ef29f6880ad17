"""Teach a small RetinaNet from a bigger one on the CPU, and show what it was worth.

The data set is made on the spot (digits over photographs); the teacher is a kept checkpoint, which
``--train-teacher`` remakes. Everything is written below ``--work-dir``.
"""

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, List, Optional

import cv2
import numpy as np

# upstream still imports it, and says so many times
warnings.filterwarnings('ignore', '.*pkg_resources')

import command  # noqa: E402
import data  # noqa: E402
import detections  # noqa: E402
import inference  # noqa: E402
import pool  # noqa: E402

from dpk_mm.compare import training  # noqa: E402
from dpk_mm.utils import read_ratios  # noqa: E402
from dpk_mm.utils import text as report  # noqa: E402

CONFIGS = Path(__file__).resolve().parent / 'configs'
TEACHER = CONFIGS / 'retinanet_r34_digits.py'
STUDENT = CONFIGS / 'retinanet_r18_digits.py'
STUDENTS = {
    'student alone': STUDENT,
    'student, inherited start': CONFIGS / 'retinanet_r18_inherit_digits.py',
    'student with FGD alone': CONFIGS / 'retinanet_r34_r18_fgd_digits.py',
    'student with DPK': CONFIGS / 'retinanet_r34_r18_digits.py',
}
COLUMNS = {'AP': ('coco/bbox_mAP', 100), 'AP50': ('coco/bbox_mAP_50', 100)}
STAGES = {'neck_1': 'P4 (8 × 8)', 'neck_2': 'P5 (4 × 4)'}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = command.make_parser(__doc__.splitlines()[0], 'work_dirs/demo', seeds=[0])
    parser.add_argument('--train-teacher', action='store_true', help='only remake the kept teacher')
    return parser.parse_args(argv)


def train_teacher(args: argparse.Namespace, data_root: Path) -> None:
    """Train the teacher and keep it beside its config."""
    seed, kept = args.seeds[0], TEACHER.with_suffix('.pth')
    job = pool.Job('teacher', TEACHER, TEACHER, data_root, args.work_dir / 'teacher', seed, args.epochs)
    result = pool.run_jobs([job], 1)[0]
    training.save_small(result['checkpoint'], kept, f'python demo/demo.py --train-teacher --seeds {seed}')
    print(f'AP {100 * result["coco/bbox_mAP"]:.1f}, kept as {kept} ({kept.stat().st_size / 1e6:.1f} MB)')


def train_students(args: argparse.Namespace, data_root: Path) -> Dict[str, List[Dict[str, Any]]]:
    """Train and test every student with every seed.

    Returns:
        dict: Name of the student -> its results, one a seed.
    """
    # the longest first, so that no core is left waiting at the end
    groups = {
        name: command.make_jobs(name, STUDENTS[name], STUDENT, data_root, args) for name in reversed(STUDENTS)
    }
    results = pool.run_groups(groups, args.workers)
    return {name: results[name] for name in STUDENTS}


def draw(models: Dict[str, Any], items: Sequence[dict], path: Path, count: int = 6) -> None:
    """Draw the detections of ``models`` on the first ``count`` items with three objects or more."""
    shown = [item for item in items if len(item['data_samples'].gt_instances) >= 3][:count]
    images = [cv2.imread(item['data_samples'].img_path)[..., ::-1] for item in shown]
    truths = [item['data_samples'].gt_instances for item in shown]
    columns = {
        'ground truth': [
            (truth.bboxes.tensor.numpy(), truth.labels.numpy(), np.ones(len(truth))) for truth in truths
        ]
    }
    for name, model in models.items():
        found = [inference.predict(model, item).pred_instances for item in shown]
        columns[name] = [(each.bboxes.numpy(), each.labels.numpy(), each.scores.numpy()) for each in found]
    detections.draw_detections(images, columns, data.CLASSES, path)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the demo."""
    args = parse_args(argv)
    start = time.monotonic()
    print('Making the data set: handwritten digits over photographs', flush=True)
    data_root = data.make_dataset(args.work_dir / 'data')
    if args.train_teacher:
        train_teacher(args, data_root)
        return

    print(f'Training the students, {args.workers} at a time, a core each', flush=True)
    rows = train_students(args, data_root)

    print('Testing the teacher, measuring times, drawing', flush=True)
    checkpoint = str(TEACHER.with_suffix('.pth'))
    plain = training.load_config(TEACHER, data_root, args.work_dir / 'teacher_test', 0)
    rows = {'teacher': [dict(checkpoint=checkpoint, **training.evaluate(plain, checkpoint))], **rows}
    models = command.add_times(
        rows, {name: TEACHER if name == 'teacher' else STUDENT for name in rows}, data_root, args
    )

    files = [args.work_dir / name for name in ('table.md', 'results.json', 'ratio.png', 'detections.png')]
    table = command.write_results(rows, COLUMNS, args)
    dpk_dir = Path(rows['student with DPK'][0]['checkpoint']).parent
    report.plot_ratios(read_ratios(dpk_dir), STAGES, files[2])
    items = list(inference.load_test_set(plain))
    draw({name: models[name] for name in ('student alone', 'student with DPK')}, items, files[3])
    print(f'\n{table}\n')
    print(*files, sep='\n')
    print(f'{time.monotonic() - start:.0f} s in all')


if __name__ == '__main__':
    main()
