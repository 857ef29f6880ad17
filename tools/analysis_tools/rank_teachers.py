"""Rank teachers for a student: how good each is itself, how far it is from the student, what it costs.

With --short-run N also what the student gains: it is trained for N steps alone and with each teacher, from
the same weights on the same images in the same order, in OUT/short_run_N, a work dir of tools/compare.py. The
order is that of the gains, or, without --short-run, of the teachers' own metric. All else is shown, not used.

Measured on a sample of the student's validation images. A run that was stopped goes on where it was.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from rich.console import Console
from rich.progress import track

from dpk_mm.analysis.models import build_model, parse_specs
from dpk_mm.analysis.plot_ranking import draw_ranking
from dpk_mm.analysis.ranking import Ranking
from dpk_mm.analysis.samples import add_sample_flags
from dpk_mm.analysis.short_run import make_method, write_short_run
from dpk_mm.analysis.teachers import TeacherStudy
from dpk_mm.compare import inputs, table
from dpk_mm.compare.comparison import run_comparison
from dpk_mm.utils import cli
from dpk_mm.utils.locks import only_one


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('student', metavar='STUDENT', help='CONFIG:CHECKPOINT, or CONFIG, untrained')
    teachers = '[LABEL=]CONFIG:CHECKPOINT (a path, a URL, or hub); without checkpoint the weights are random'
    parser.add_argument('teachers', nargs='+', metavar='TEACHER', help=teachers)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/rank_teachers'), help='folder to write')
    stages = 'layers to compare, and to teach at in the short run (default: the last two maps of one name)'
    parser.add_argument('--stages', nargs='+', metavar='STUDENT[=TEACHER]', help=stages)
    parser.add_argument('--metric', help='the metric to rank by, as the evaluator calls it')
    parser.add_argument('--short-run', type=cli.positive, metavar='N', help='train the student for N steps')
    parser.add_argument('--seeds', type=cli.positive, default=1, help='how many seeds, from 0 (default: 1)')
    width = "width of the short run's necks (default: 64)"
    parser.add_argument('--embed-dims', type=int, default=64, help=width)
    parser.add_argument('--jobs', type=cli.positive, default=1, help='short runs side by side (default: 1)')
    parser.add_argument('--threads', type=cli.positive, default=1, help='threads of a short run (default: 1)')
    add_sample_flags(parser, 1000, 'student')
    cli.add_trust_flag(parser)
    args = parser.parse_args(argv)
    if args.embed_dims < 8 or args.embed_dims % 4:
        parser.error(f'--embed-dims must be a multiple of 4 from 8 on, got {args.embed_dims}')
    return args


def rank(args: argparse.Namespace) -> Ranking:
    """Measure all that no earlier call measured."""
    student, *teachers = parse_specs([args.student, *args.teachers], args.trust_checkpoints)
    cli.merge_options(student.config, args.cfg_options)
    if not args.short_run and not any(spec.checkpoint for spec in teachers):
        cli.die('no teacher has a checkpoint, so there is nothing to rank by: give some, or --short-run')
    study = TeacherStudy(student, args)
    own, rows, methods = study.measure_student(), [], {student.label: None}
    for spec in track(teachers, 'measuring', console=Console(stderr=True)):
        teacher = build_model(spec)
        teacher.match_input_normalization(study.sample.preprocessor)
        pairs = study.pairs(spec, teacher)
        if args.short_run:
            methods[spec.label] = make_method(study, spec, teacher, pairs, args.embed_dims)
        rows.append(study.measure(spec, teacher, pairs))
    tested = {row.label: {0: dict(metrics=row.metrics)} for row in (own, *rows) if row.metrics is not None}
    metric = table.find_metric(tested, args.metric) if tested else args.metric
    if not args.short_run:
        return Ranking(metric, len(study.sample), own, rows)
    folder, seeds = args.out / f'short_run_{args.short_run}', range(args.seeds)
    path = write_short_run(study, methods, args.short_run, seeds, metric, folder)
    comparison = inputs.read(cli.load_config(str(path)))
    results, problems = run_comparison(
        comparison, folder, jobs=args.jobs, threads=args.threads, measured=study.folder
    )
    if problems:
        cli.die('; '.join(problems))
    metric = table.find_metric(results, metric)
    return Ranking(metric, len(study.sample), own, rows, args.short_run, table.values(results, metric))


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure, rank, draw and tell."""
    args = parse_args(argv)
    with only_one(args.out):
        ranking = rank(args)
        text = ranking.to_markdown()
        (args.out / 'ranking.md').write_text(text, encoding='utf-8')
        ranking.write_csv(args.out / 'ranking.csv')
        draw_ranking(ranking).savefig(args.out / 'ranking.png')
    print(f'{text}\nwrote ranking.md, ranking.csv and ranking.png in {args.out}')


if __name__ == '__main__':
    main()
