"""Compare distillation methods fairly: train, test and tabulate them by one command.

INPUT is a config such as experiments/cifar100_short/compare.py: a student, a teacher, methods and seeds. All
methods share recipe, data order and the student's first weights, or the command refuses to begin. A command
that was interrupted goes on where it stopped when it is given again.
"""

import argparse
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from mmengine.config import Config

from dpk_mm.utils import cli


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('input', metavar='INPUT', help='what to compare')
    parser.add_argument('--work-dir', type=Path, help='folder of the runs (default: work_dirs/compare/NAME)')
    parser.add_argument('--out', type=Path, help='folder of tables and plot (default: that of --work-dir)')
    parser.add_argument('--jobs', type=_count, default=1, help='runs side by side (default: 1)')
    parser.add_argument('--threads', type=_count, default=1, help='processor threads of a run (default: 1)')
    parser.add_argument(
        '--check', action='store_true', help='check that the comparison is fair and all is there, and stop'
    )
    return parser.parse_args(argv)


def _count(text: str) -> int:
    """A number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected a number from 1 on, got {text!r}')
    return int(text)


def fill(cfg: Config) -> None:
    """Fill in what tools/train.py and tools/test.py do."""
    cli.fill_dataloaders(cfg, ('train_dataloader', 'test_dataloader'), no_pin_memory=False)


def compare(args: argparse.Namespace) -> List[str]:
    """Check, run and write the results.

    Returns:
        list[str]: A line for each run that failed, and where there is no table why.

    Raises:
        ValueError: The input has a mistake, or would not be a fair comparison.
    """
    from dpk_mm.compare import display, inputs, plan, pool, run
    from dpk_mm.compare.data import check_data
    from dpk_mm.compare.digest import digest_settings
    from dpk_mm.compare.fairness import recipe
    from dpk_mm.compare.teachers import measure_teachers
    from dpk_mm.utils.quiet import quiet

    comparison = inputs.read(cli.load_config(args.input))
    with quiet():
        alone, methods = plan.make_methods(comparison, cli.load_config, fill)
    for method in methods:
        check_files(method.cfg.model)
    path = Path(args.input).resolve()
    # of several in folders of their own, as in experiments/, the folder is the name
    name = path.parent.name if path.stem == 'compare' else path.stem
    work_dir = args.work_dir or Path('work_dirs/compare') / name
    with cli.only_one(work_dir):
        with quiet():
            runs = run.make_runs(methods, work_dir)
            left = [one for one in runs if one.result is None]
            run.check_starts(left, alone)
            if left:
                check_data(alone)
        print(
            f'{len(runs)} runs, {len(left)} to do; recipes and first weights were compared',
            flush=True,
        )
        if args.check:
            return []
        starts = work_dir / 'starts' / digest_settings(recipe(alone))
        with display.Display(left, len(runs) - len(left), args.jobs) as shown:
            failures = pool.run_all(left, args.jobs, args.threads, starts, shown)
        problems = [f'{name}: {why}' for name, why in failures.items()]
        results = {one.name: {} for one in methods}
        for one in runs:
            if str(one) not in failures and one.result is not None:
                results[one.method.name][one.seed] = one.result
        if any(results.values()):
            out = args.out or work_dir
            try:
                write(comparison, results, runs, out)
            except ValueError as error:  # of the metric; the runs that failed are told too
                return [*problems, str(error)]
            # after all else, as nothing else needs them
            teachers, untested = measure_teachers(
                [one for one in methods if results[one.name]], work_dir / 'teachers'
            )
            write_teachers(comparison, results, teachers, out)
            for names, why in untested.items():
                print(f'The teacher of {names} was not tested: {why}')
    return problems


def check_files(model: dict) -> None:
    """Exit unless the teacher's checkpoint is there; what is not local is left to its download."""
    teacher = model.get('teacher')
    checkpoint = teacher.get('checkpoint') if isinstance(teacher, dict) else None
    cli.check_checkpoint(None if checkpoint == 'hub' else checkpoint, 'teacher')


def write(comparison: Any, results: Dict[str, dict], runs: Sequence[Any], out: Path) -> None:
    """Write results.csv, ratios.csv, table.md, plot.png and cost.png."""
    from dpk_mm.compare import plot, plot_cost, table

    out.mkdir(parents=True, exist_ok=True)
    # first of all, as it holds whatever metric is wanted
    (out / 'results.csv').write_text(table.make_csv(results), encoding='utf-8')
    metric = table.find_metric(results, comparison.metric)
    text = table.make_table(results, comparison, metric)
    (out / 'table.md').write_text(text + '\n', encoding='utf-8')
    baselines = [row.name for row in comparison.rows if row.is_alone]
    alone = next((name for name in baselines if results[name]), None)
    found = table.values(results, metric)
    plot.plot(found, metric, out / 'plot.png', [*baselines, comparison.reference])
    unit = 'time of a step, in seconds' if alone is None else f'time of a step, over that of {alone}'
    plot_cost.plot_cost(found, table.step_costs(results, alone), metric, unit, out / 'cost.png')
    if ratios := table.make_ratio_csv(runs):
        (out / 'ratios.csv').write_text(ratios, encoding='utf-8')


def write_teachers(comparison: Any, results: Dict[str, dict], teachers: Dict[str, dict], out: Path) -> None:
    """Write teachers.csv and, with what it says, table.md; show the table."""
    from dpk_mm.compare import table

    (out / 'teachers.csv').unlink(missing_ok=True)
    if teachers:
        (out / 'teachers.csv').write_text(table.make_csv(teachers), encoding='utf-8')
    metric = table.find_metric(results, comparison.metric)
    text = table.make_table(results, comparison, metric, teachers)
    (out / 'table.md').write_text(text + '\n', encoding='utf-8')
    print(f'\n{text}\n')
    print(*sorted(path for path in out.iterdir() if path.is_file() and path.name != 'lock'), sep='\n')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Compare; a mistake is one line."""
    args = parse_args(argv)
    try:
        failures = compare(args)
    except (ValueError, OSError, ImportError, SyntaxError) as error:
        cli.die(' '.join(str(error).split()))
    except KeyboardInterrupt:
        cli.die('interrupted; the same command goes on')
    if failures:
        cli.die('; '.join(failures))


if __name__ == '__main__':
    main()
