"""Profile a step of distillation, and put it against its floor.

The floor is the student's own training step and the teacher's forward pass. Everything runs in turns on one
batch that is made up, so neither data nor checkpoints are needed. OUT/profile.md has the tables,
OUT/profile.json all figures, OUT/operators.txt torch's operators; docs/profiling.md says how to read them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch
from rich.console import Console

from dpk_mm.profiling.measure import measure_step
from dpk_mm.profiling.report import to_markdown
from dpk_mm.utils import cli
from dpk_mm.utils.files import write_json
from dpk_mm.utils.locks import only_one


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a distiller, or pkg::path such as dpk_mm::dpk/x.py')
    parser.add_argument('--batch-size', type=cli.positive, help="images (default: the config's dataloader's)")
    shape = "of the images (default: the distiller's input_shape, or 800 1344 for detectors, 512 1024 for "
    shape += 'segmentors, 224 224 for others)'
    parser.add_argument('--input-shape', type=cli.positive, nargs=2, metavar=('H', 'W'), help=shape)
    parser.add_argument('--rounds', type=cli.positive, default=5, help='how often all is timed (default: 5)')
    parser.add_argument('--threads', type=cli.positive, default=1, help='processor threads (default: 1)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda if there is one')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision, on a GPU')
    parser.add_argument('--out', type=Path, help='folder to write (default: work_dirs/profile/NAME)')
    cli.add_cfg_options(parser, 'override settings of the config')
    args = parser.parse_args(argv)
    args.out = args.out or Path('work_dirs/profile') / Path(args.config.split('::')[-1]).stem
    if args.device == 'cuda' and not torch.cuda.is_available():
        cli.die('--device cuda: torch finds no GPU')
    args.device = torch.device(args.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if args.amp and args.device.type == 'cpu':
        cli.die('--amp needs a GPU')
    return args


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure and tell."""
    args = parse_args(argv)
    with only_one(args.out):
        with Console(stderr=True).status('profiling'):
            cfg = cli.load_config(args.config)
            cli.merge_options(cfg, args.cfg_options)
            report, operators = measure_step(cfg, args)
        (args.out / 'operators.txt').write_text(operators, encoding='utf-8')
        (args.out / 'profile.md').write_text(to_markdown(report), encoding='utf-8')
        write_json(args.out / 'profile.json', report)
    print(to_markdown(report))
    print(f'wrote profile.md, profile.json and operators.txt in {args.out}')


if __name__ == '__main__':
    main()
