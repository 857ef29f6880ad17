"""Draw what a stage of DPK sees and predicts: student's map, chosen tokens, predicted map, teacher's map.

The images are of the training set, evenly spread. Both models run as in a test, student and neck with the
weights of a checkpoint of the training. Of a map the picture shows the root mean square over the channels.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from dpk_mm.analysis.priors import build_distiller, read_train_batches
from dpk_mm.analysis.stage_maps import choose_stage, draw_stage, load_trained, stage_maps
from dpk_mm.analysis.stats import LEAST_SAMPLES
from dpk_mm.utils import cli


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='config of a distiller, or pkg::path such as dpk_mm::dpk/x.py')
    parser.add_argument('checkpoint', help='of its training: it has the necks')
    parser.add_argument('--stage', help='name of a stage with a neck (default: the first)')
    parser.add_argument('--images', type=cli.positive, default=LEAST_SAMPLES, help='how many (default: 4)')
    parser.add_argument('--out', type=cli.picture, default=Path('stage.png'), help='picture')
    cli.add_cfg_options(parser, 'override settings of the config, as in train.py')
    args = parser.parse_args(argv)
    if args.images < LEAST_SAMPLES:
        parser.error(f'--images must be at least {LEAST_SAMPLES}: the ratio is found on them')
    return args


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run and draw."""
    args = parse_args(argv)
    cfg = cli.load_config(args.config)
    cli.merge_options(cfg, args.cfg_options)
    model = build_distiller(cfg)
    stage = choose_stage(model, args.stage)
    load_trained(model, args.checkpoint, stage)
    (batch,) = read_train_batches(cfg, model, args.images, args.images)
    maps = stage_maps(model, batch, stage)
    draw_stage(maps, f'Stage {stage}, {Path(args.checkpoint).name}').savefig(args.out)
    error = (maps.predicted - maps.teacher).square().mean() / maps.teacher.square().mean()
    print(f'{stage}: the teacher fills {maps.ratio:.2f} of the tokens; squared error over map {error:.3f}')
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
