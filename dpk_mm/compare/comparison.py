"""A comparison from its input to its tables and plots."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config
from mmengine.registry import DefaultScope

from dpk_mm.compare import csv_files, display, plan, plot, plot_cost, pool, report, run, table, trial
from dpk_mm.compare.digest import digest_settings
from dpk_mm.compare.fairness import recipe
from dpk_mm.compare.inputs import Comparison
from dpk_mm.compare.teachers import measure_teachers
from dpk_mm.registry import DATASETS
from dpk_mm.utils.checkpoint import check_checkpoint
from dpk_mm.utils.files import check_writable, write_text
from dpk_mm.utils.locks import only_one
from dpk_mm.utils.quiet import quiet
from dpk_mm.utils.runner import load_config


def run_comparison(
    comparison: Comparison,
    work_dir: Path,
    out: Optional[Path] = None,
    jobs: int = 1,
    threads: int = 1,
    check_only: bool = False,
    measured: Optional[Path] = None,
) -> tuple[table.Results, list[str]]:
    """Check a comparison, run what is not finished, and write the results.

    Args:
        comparison (Comparison): From :func:`dpk_mm.compare.inputs.read`.
        work_dir (Path): Folder of the runs.
        out (Path, optional): Folder of tables and plots. Defaults to ``work_dir``.
        jobs (int): Runs side by side. Defaults to 1.
        threads (int): Processor threads of a run. Defaults to 1.
        check_only (bool): Stop before the first run. Defaults to False.
        measured (Path, optional): Folder that keeps what the teachers reach themselves. Defaults to
            ``teachers`` in ``work_dir``.

    Returns:
        tuple: Method -> seed -> what its run found; and a line for each run that failed, and for why there is
        no table.

    Raises:
        ValueError: The input has a mistake, or would not be a fair comparison.
        FileNotFoundError: A config or a checkpoint is not there.
    """
    with quiet():
        alone, methods = plan.make_methods(comparison, load_config)
    for method in methods:
        _check_files(method.cfg.model)
    with only_one(work_dir):
        check_writable((out or work_dir) / 'results.csv')  # hours before it is written
        with quiet():
            runs = run.make_runs(methods, work_dir)
            left = [one for one in runs if one.result is None]
            if left:
                problems = trial.try_builds(left, alone)
                problems.update(_check_data(alone))
                if problems:
                    raise ValueError('; '.join(problems.values()))
        print(
            f'{len(runs)} runs, {len(left)} to do; recipes and first weights agree',
            flush=True,
        )
        results: table.Results = {one.name: {} for one in methods}
        if check_only:
            return results, []
        starts = work_dir / 'starts' / digest_settings(recipe(alone))
        with display.Display(left, len(runs) - len(left), jobs) as shown:
            failures = pool.run_all(left, jobs, threads, starts, shown)
        problems = [f'{name}: {why}' for name, why in failures.items()]
        for one in runs:
            if str(one) not in failures and one.result is not None:
                results[one.method.name][one.seed] = one.result
        if any(results.values()):
            out = out or work_dir
            try:
                _write(comparison, results, runs, out)
            except ValueError as error:  # of the metric; the runs that failed are told too
                return results, [*problems, str(error)]
            # after all else, as nothing else needs them
            done = [one for one in methods if results[one.name]]
            teachers, untested = measure_teachers(done, measured or work_dir / 'teachers')
            print(f'\n{_write(comparison, results, runs, out, teachers)}\n')
            print(*sorted(path for path in out.iterdir() if path.is_file() and path.name != 'lock'), sep='\n')
            for names, why in untested.items():
                print(f'The teacher of {names} was not tested: {why}')
    return results, problems


def _check_data(cfg: Config) -> dict[str, str]:
    """Read the first sample that a config trains on, and the first that it tests on; what is wrong."""
    problems = {}
    for field in ('train_dataloader', 'test_dataloader'):
        try:
            with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
                DATASETS.build(copy.deepcopy(cfg[field].dataset))[0]
        except Exception as error:  # whatever a data set raises, the runs would raise it too
            problems[field] = f'{field}.dataset: {type(error).__name__}: {error}'
    return problems


def _check_files(model: dict) -> None:
    """Refuse a teacher's checkpoint that is not there; what is not local is left to its download."""
    teacher = model.get('teacher')
    checkpoint = teacher.get('checkpoint') if isinstance(teacher, dict) else None
    check_checkpoint(None if checkpoint == 'hub' else checkpoint, 'teacher')


def _write(
    comparison: Comparison,
    results: table.Results,
    runs: Sequence[Any],
    out: Path,
    teachers: Optional[table.Results] = None,
) -> str:
    """Write the tables and plots; returns the table."""
    out.mkdir(parents=True, exist_ok=True)
    # first of all, as it holds whatever metric is wanted
    write_text(out / 'results.csv', csv_files.make_csv(results))
    metric = table.find_metric(results, comparison.metric)
    (out / 'teachers.csv').unlink(missing_ok=True)
    if teachers:
        write_text(out / 'teachers.csv', csv_files.make_csv(teachers))
    text = report.make_table(results, comparison, metric, teachers)
    write_text(out / 'table.md', text + '\n')
    baselines = [row.name for row in comparison.rows if row.is_alone]
    alone = next((name for name in baselines if results[name]), None)
    found = table.values(results, metric)
    plot.plot(found, metric, out / 'plot.png', [*baselines, comparison.reference])
    unit = 'time of a step, in seconds' if alone is None else f'time of a step, over that of {alone}'
    plot_cost.plot_cost(found, table.step_costs(results, alone), metric, unit, out / 'cost.png')
    if ratios := csv_files.make_ratio_csv(runs):
        write_text(out / 'ratios.csv', ratios)
    return text
