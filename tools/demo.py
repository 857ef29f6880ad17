"""Teach a small RetinaNet from a bigger one on the CPU, and show what it was worth.

The data set is made on the spot (digits over photographs); the teacher is a kept checkpoint, which
``--train-teacher`` remakes. Everything is written below ``--work-dir``.
"""

import argparse
import json
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, List, Optional

import cv2
import numpy as np

# upstream still imports it, and says so many times
warnings.filterwarnings('ignore', '.*pkg_resources')

from dpk_mm.demo import data, pool, report, training  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[1] / 'configs/demo'
TEACHER = CONFIGS / 'retinanet_r34_digits.py'
STUDENT = CONFIGS / 'retinanet_r18_digits.py'
STUDENTS = {
    'student alone': STUDENT,
    'student, inherited start': CONFIGS / 'retinanet_r18_inherit_digits.py',
    'student with FGD alone': CONFIGS / 'retinanet_r34_r18_fgd_digits.py',
    'student with DPK': CONFIGS / 'retinanet_r34_r18_digits.py',
}
STAGES = {'neck_1': 'P4 (8 × 8)', 'neck_2': 'P5 (4 × 4)'}


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='train each student once a seed')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--epochs', type=int, help="length of the schedule, instead of the config's")
    parser.add_argument('--workers', type=int, default=pool.default_workers(), help='trainings at once')
    parser.add_argument('--train-teacher', action='store_true', help='only remake the kept teacher')
    return parser.parse_args(argv)


def train_teacher(args: argparse.Namespace, data_root: Path) -> None:
    """Train the teacher and keep it beside its config."""
    seed, kept = args.seeds[0], TEACHER.with_suffix('.pth')
    job = pool.Job('teacher', TEACHER, TEACHER, data_root, args.work_dir / 'teacher', seed, args.epochs)
    result = pool.run_jobs([job], 1)[0]
    training.save_small(result['checkpoint'], kept, f'python tools/demo.py --train-teacher --seeds {seed}')
    print(f'AP {100 * result["AP"]:.1f}, kept as {kept} ({kept.stat().st_size / 1e6:.1f} MB)')


def train_students(args: argparse.Namespace, data_root: Path) -> Dict[str, List[Dict[str, Any]]]:
    """Train and test every student with every seed.

    Returns:
        dict: Name of the student -> its results, one a seed.
    """
    # the longest first, so that no core is left waiting at the end
    names = list(reversed(STUDENTS))
    jobs = [
        pool.Job(
            name if len(args.seeds) == 1 else f'{name} ({seed})',
            STUDENTS[name],
            STUDENT,  # every checkpoint, DPK's too, is opened as the plain student that it is
            data_root,
            args.work_dir / f'seed_{seed}' / STUDENTS[name].stem,
            seed,
            args.epochs,
        )
        for seed in args.seeds
        for name in names
    ]
    results = pool.run_jobs(jobs, args.workers)
    return {name: results[names.index(name) :: len(names)] for name in STUDENTS}


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
        found = [training.detect(model, item) for item in shown]
        columns[name] = [(each.bboxes.numpy(), each.labels.numpy(), each.scores.numpy()) for each in found]
    report.draw_detections(images, columns, data.CLASSES, path)


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
    items = list(training.load_val_set(plain))
    models = {}
    for name, results in rows.items():
        config = TEACHER if name == 'teacher' else STUDENT
        plain = training.load_config(config, data_root, args.work_dir, 0)
        models[name] = training.load_detector(plain, results[0]['checkpoint'])
        # the same for all seeds of a model
        ms = training.milliseconds(models[name], items)
        for result in results:
            result['ms'] = ms

    files = [args.work_dir / name for name in ('table.md', 'results.json', 'ratio.png', 'detections.png')]
    table = report.make_table(rows)
    if len(args.seeds) > 1:
        table += '\n\n' + report.make_seed_table(rows, args.seeds)
    files[0].write_text(table + '\n', encoding='utf-8')
    files[1].write_text(json.dumps(dict(seeds=args.seeds, rows=rows), indent=1), encoding='utf-8')
    dpk_dir = Path(rows['student with DPK'][0]['checkpoint']).parent
    report.plot_ratios(training.read_ratios(dpk_dir), STAGES, files[2])
    draw({name: models[name] for name in ('student alone', 'student with DPK')}, items, files[3])
    print(f'\n{table}\n')
    print(*files, sep='\n')
    print(f'{time.monotonic() - start:.0f} s in all')


if __name__ == '__main__':
    main()
