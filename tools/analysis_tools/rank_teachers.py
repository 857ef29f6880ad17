"""Rank teachers for a student: how good each is itself, how far it is from the student, what it costs.

With --probe N also what the student gains: it is trained for N steps alone and with each teacher, from the
same weights on the same images in the same order. The order is that of the gains, or, without --probe, of the
teachers' own metric, the higher the better; all else is shown, not used.

Measured on a sample of the student's validation images.
A run that was stopped goes on where it was: what is in OUT/candidates is not measured again.
"""

import argparse
from pathlib import Path
from typing import Optional, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dpk_mm.analysis.models import ModelSpec, add_trust_flag, build_model, parse_specs, slug
from dpk_mm.analysis.ranking.measure import evaluate, measure_cost, measure_gap
from dpk_mm.analysis.ranking.order import Ranking, pick_metric
from dpk_mm.analysis.ranking.probe import probe_model, run_probe
from dpk_mm.analysis.ranking.report import draw, to_markdown, write_csv
from dpk_mm.analysis.ranking.rows import Row, keep_row, read_row
from dpk_mm.analysis.ranking.study import Study
from dpk_mm.analysis.samples import add_sample_flags, positive
from dpk_mm.utils import cli


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('student', metavar='STUDENT', help='CONFIG:CHECKPOINT, or CONFIG, untrained')
    teachers = '[LABEL=]CONFIG:CHECKPOINT (a path, a URL, or hub); without checkpoint the weights are random'
    parser.add_argument('teachers', nargs='+', metavar='TEACHER', help=teachers)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/rank_teachers'), help='folder to write')
    stages = 'layers to compare, and to teach at in the probe (default: the last two maps of one name)'
    parser.add_argument('--stages', nargs='+', metavar='STUDENT[=TEACHER]', help=stages)
    parser.add_argument('--metric', help='the metric to rank by, as the evaluator calls it')
    parser.add_argument('--probe', type=positive, metavar='N', help='train the student for N steps')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='one probe each (default: 0)')
    parser.add_argument('--embed-dims', type=int, default=64, help="width of the probe's necks (default: 64)")
    add_sample_flags(parser, 1000, 'student')
    add_trust_flag(parser)
    args = parser.parse_args(argv)
    args.seeds = list(dict.fromkeys(args.seeds)) if args.probe else []
    if args.embed_dims < 8 or args.embed_dims % 4:
        parser.error(f'--embed-dims must be a multiple of 4 from 8 on, got {args.embed_dims}')
    return args


def measure(study: Study, named: ModelSpec, is_student: bool = False) -> Row:
    """Measure what no earlier run kept of a candidate, or of the student."""
    out, args = study.args.out, study.args
    settings, probe = study.settings(named), dict(steps=args.probe, embed_dims=args.embed_dims)
    row = read_row(out, named.label, settings)
    if row and args.seeds and row.probe != probe:
        row.probe, row.taught = probe, {}
    seeds = [seed for seed in args.seeds if row is None or str(seed) not in row.taught]
    task = study.progress.add_task(named.label, total=1)
    if row and not seeds:
        study.progress.update(task, description=f'{named.label}: kept', completed=1)
        return row
    model = study.model if is_student else build_model(named)
    model.accept(study.sample.preprocessor)
    stages = [] if is_student else study.stages(named, model)
    if row is None:
        params = sum(weight.numel() for weight in model.model.parameters())
        row = Row(named.label, settings, params, probe=probe)
        if not is_student:
            row.gap = measure_gap(study, model, stages)
            row.cost = measure_cost(study, model, stages)
        if not is_student or named.checkpoint is not None:
            row.metrics = evaluate(study, named.model, model.model.state_dict(), slug(f'{named.label}_test'))
        keep_row(out, row)
    study.progress.update(task, completed=1)
    distiller = None if is_student or not seeds else probe_model(study, named, model, stages)
    for seed in seeds:
        row.taught[str(seed)] = run_probe(study, named.label, distiller, seed)
        keep_row(out, row)
    return row


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure, rank, draw and tell."""
    args = parse_args(argv)
    with cli.only_one(args.out):
        rank(args)


def rank(args: argparse.Namespace) -> None:
    """Measure, rank, draw and tell, in a folder that is ours."""
    # all are looked at before the first is measured
    student, *teachers = parse_specs([args.student, *args.teachers], args.trust_checkpoints)
    student.config.merge_from_dict(args.cfg_options or {})
    columns = TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        study = Study(args, student, progress)
        rows = [measure(study, named, named is student) for named in (student, *teachers)]
    metric, seeds = pick_metric(rows[1:], args.metric), list(map(str, args.seeds))
    untrained = [named.label for named in (student, *teachers) if named.checkpoint is None]
    ranking = Ranking(metric, len(study.sample), rows[0], rows[1:], seeds, untrained)
    text = to_markdown(ranking)
    (args.out / 'ranking.md').write_text(text)
    write_csv(ranking, args.out / 'ranking.csv')
    draw(ranking).savefig(args.out / 'ranking.png')
    print(text)
    print(f'wrote ranking.md, ranking.csv and ranking.png in {args.out}')


if __name__ == '__main__':
    main()
