"""Compare the two forms of the dynamic prior over training: positions as samples, and images as samples.

The authors' ratio takes images as samples, of which detection has too few on a GPU; `dpk_mm.CKAPrior`
then takes positions. This measures both on the same features: positions at the small batch of a
detector, images at a large one, and says whether they order stages and checkpoints alike.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from dpk_mm.analysis.priors import (
    UNTRAINED,
    build_distiller,
    measure_ratios,
    read_students,
    read_train_batches,
)
from dpk_mm.analysis.priors_report import agreement, plot_forms, write_ratios
from dpk_mm.utils import cli


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='config of a distiller, or pkg::path such as dpk_mm::dpk/x.py')
    parser.add_argument(
        'checkpoints', nargs='+', metavar='CHECKPOINT', help=f'of one student, in order; or {UNTRAINED!r}'
    )
    parser.add_argument(
        '--out', type=cli.picture, default=Path('priors.png'), help='picture; a CSV goes beside it'
    )
    parser.add_argument('--batch-size', type=cli.positive, default=2, help='images a batch for positions')
    parser.add_argument('--images', type=int, default=64, help='images of the training set, evenly spread')
    parser.add_argument('--image-batch', type=int, default=32, help='images a batch for images as samples')
    cli.add_cfg_options(parser, 'override settings of the config, as in train.py')
    args = parser.parse_args(argv)
    if min(args.images, args.image_batch) < 4:
        parser.error('CKA over images needs 4 of them: --images and --image-batch must be at least 4')
    return args


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure, draw and tell."""
    args = parse_args(argv)
    cfg = cli.load_config(args.config)
    cli.merge_options(cfg, args.cfg_options)
    model = build_distiller(cfg)
    students = read_students(model, args.checkpoints)
    shown = read_train_batches(cfg, model, args.images, args.image_batch)
    ratios = measure_ratios(model, students, shown, args.batch_size)
    plot_forms(ratios, args.batch_size, args.out)
    write_ratios(ratios, args.out.with_suffix('.csv'))
    for (label, stage), (mean, sd, images) in ratios.items():
        print(f'{label}, {stage}: positions {mean:.3f} ± {sd:.3f}, images {images:.3f}')
    if any(np.isnan(images) for _, _, images in ratios.values()):
        print("nan: a map that does not differ between images, the student's or the teacher's")
    for what, value in agreement(ratios).items():
        print(f'rank correlation {what}: {value:.2f}')
    print(f'wrote {args.out} and {args.out.with_suffix(".csv")}')


if __name__ == '__main__':
    main()
