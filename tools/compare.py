"""Compare distillation methods fairly: train, test and tabulate them by one command.

INPUT is a config such as experiments/cifar100_short/compare.py: a student, a teacher, methods and seeds. All
methods share recipe, data order and the student's first weights, or the command refuses to begin. A command
that was interrupted goes on where it stopped when it is given again.

Did distillation help your model? Flags make an INPUT: --baseline CONFIG --teacher T --methods pkd,dpk trains
your config alone and by each method, and answers in words.
"""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Optional

from dpk_mm.compare import inputs, table
from dpk_mm.compare.answer import answer, compare_with
from dpk_mm.compare.comparison import run_comparison
from dpk_mm.utils import cli


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('input', nargs='?', metavar='INPUT', help='what to compare')
    parser.add_argument('--baseline', metavar='CONFIG', help='in place of INPUT: config of the student alone')
    parser.add_argument('--teacher', metavar='CONFIG[:CHECKPOINT]', help='with --baseline: the teacher')
    parser.add_argument(
        '--methods', metavar='NAMES', help="with --baseline: names for `method`, such as 'start,pkd,dpk'"
    )
    parser.add_argument('--seeds', type=cli.positive, help='with --baseline: how many seeds (default: 3)')
    parser.add_argument('--metric', help='with --baseline: what the table shows (default: the usual one)')
    cli.add_cfg_options(parser, 'with --baseline: settings for all rows; `model.` is the student')
    parser.add_argument('--work-dir', type=Path, help='folder of the runs (default: work_dirs/compare/NAME)')
    parser.add_argument('--out', type=Path, help='folder of tables and plot (default: that of --work-dir)')
    parser.add_argument('--jobs', type=cli.positive, default=1, help='runs side by side (default: 1)')
    parser.add_argument(
        '--threads', type=cli.positive, default=1, help='processor threads of a run (default: 1)'
    )
    parser.add_argument(
        '--check', action='store_true', help='check that the comparison is fair and all is there, and stop'
    )
    args = parser.parse_args(argv)
    flags = (args.baseline, args.teacher, args.methods)
    if (args.input is None) != all(flags) or (args.input and any(flags)):
        parser.error('give INPUT, or --baseline, --teacher and --methods')
    if args.input and (args.cfg_options or args.seeds or args.metric):
        parser.error('--seeds, --metric and --cfg-options go with --baseline; an INPUT has its own')
    return args


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Compare."""
    args = parse_args(argv)
    path = Path(args.input or args.baseline).resolve()
    # of several in folders of their own, as in experiments/, the folder is the name
    name = path.parent.name if path.stem == 'compare' else path.stem
    if args.input:
        given = cli.load_config(args.input)
    else:
        methods = [name.strip() for name in args.methods.split(',')]
        given = compare_with(
            args.baseline, args.teacher, methods, args.seeds or 3, args.cfg_options, args.metric
        )
    work_dir = args.work_dir or Path('work_dirs/compare') / name
    try:
        comparison = inputs.read(given)
        results, problems = run_comparison(
            comparison, work_dir, args.out, args.jobs, args.threads, args.check
        )
    except KeyboardInterrupt:
        cli.die('interrupted; the same command goes on')
    alone = next((row.name for row in comparison.rows if row.is_alone), None)
    if alone is not None and any(results.values()):
        with suppress(ValueError):  # a metric that is not there is among the problems
            print(f'\n{answer(results, table.find_metric(results, comparison.metric), alone)}')
    if problems:
        cli.die('; '.join(problems))


if __name__ == '__main__':
    main()
