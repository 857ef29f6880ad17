"""What the runs found, in CSV files."""

import csv
import io
from collections.abc import Iterable
from typing import Any, Dict, List

from dpk_mm.compare.run import Run
from dpk_mm.compare.table import Results
from dpk_mm.utils import read_ratios

# what the CSV has of a run beside its metrics, with the type of each
_KNOWN = dict(seconds=float, cpu_seconds=float, steps=int, memory=int, memory_kind=str)
_KNOWN.update(device=str, jobs=int, threads=int, params=int)


def make_csv(results: Results) -> str:
    """Write one line a run, all figures as upstream gave them.

    Args:
        results (dict): Of all runs, or of the teachers, which have no costs.

    Returns:
        str: Comma-separated; seconds are medians of a step, memory is in bytes.
    """
    lines = [
        dict(
            method=name,
            seed=seed,
            **result['metrics'],
            **{key: result[key] for key in _KNOWN if key in result},
        )
        for name, seeds in results.items()
        for seed, result in sorted(seeds.items())
    ]
    return _to_csv(lines)


def make_ratio_csv(runs: Iterable[Run]) -> str:
    """Write what the finished runs logged of their priors, one line for each logged step.

    Args:
        runs (Iterable[Run]): Runs; those whose ratios never change are left out.

    Returns:
        str: Comma-separated, a column for each stage; empty where there is nothing to write.
    """
    lines = []
    for run in runs:
        try:
            curves = read_ratios(run.folder) if run.result else {}
        except (FileNotFoundError, ValueError):
            continue  # no log, or no prior
        if all(len(set(curve.values())) == 1 for curve in curves.values()):
            continue
        for step in sorted({step for curve in curves.values() for step in curve}):
            own = {stage: f'{curve[step]:.4f}' for stage, curve in curves.items() if step in curve}
            lines.append(dict(method=run.method.name, seed=run.seed, step=step, **own))
    return _to_csv(lines) if lines else ''


def _to_csv(lines: List[Dict[str, Any]]) -> str:
    """Write lines of which some lack columns."""
    text = io.StringIO()
    names = dict.fromkeys(key for line in lines for key in line)
    writer = csv.DictWriter(text, list(names), lineterminator='\n')
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def read_csv(text: str) -> Results:
    """Read what :func:`make_csv` wrote.

    Args:
        text (str): Comma-separated.

    Returns:
        dict: The results; without what a run did not give.

    Raises:
        ValueError: Something else was written; names the line.
    """
    results: Results = {}
    reader = csv.DictReader(io.StringIO(text, newline=''), restval='')
    try:
        for line in reader:
            name, seed = line.pop('method'), int(line.pop('seed'))
            known = {key: kind(line.pop(key)) for key, kind in _KNOWN.items() if key in line}
            metrics = {key: float(item) for key, item in line.items() if item}
            results.setdefault(name, {})[seed] = dict(known, metrics=metrics)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        number = reader.line_num + isinstance(error, csv.Error)  # which the reader has not counted yet
        raise ValueError(f'line {number} is not of a comparison ({error})') from error
    return results
