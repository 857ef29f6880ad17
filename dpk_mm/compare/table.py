"""What the runs found, as tables."""

import csv
import io
import math
import statistics
from collections.abc import Iterable
from typing import Any, Dict, List, Optional

from dpk_mm.compare.inputs import Comparison
from dpk_mm.compare.run import Run
from dpk_mm.utils import read_ratios
from dpk_mm.utils.text import markdown, spread

# method -> seed -> what its run found
Results = Dict[str, Dict[int, Dict[str, Any]]]
_USUAL = ('accuracy/top1', 'coco/bbox_mAP', 'pascal_voc/mAP')
_MISSING = '–'
# what the CSV has of a run beside its metrics, with the type of each
_KNOWN = dict(seconds=float, cpu_seconds=float, steps=int, memory=int, memory_kind=str)
_KNOWN.update(device=str, jobs=int, threads=int, params=int)


def find_metric(results: Results, wanted: Optional[str] = None) -> str:
    """Find the metric of the table.

    Args:
        results (dict): Of all runs.
        wanted (str, optional): What the input names.

    Returns:
        str: Its name upstream.

    Raises:
        ValueError: There is no such metric, or it must be named.
    """
    names = sorted(
        {name for seeds in results.values() for result in seeds.values() for name in result['metrics']}
    )
    if wanted is not None and wanted not in names:
        raise ValueError(f'metric={wanted!r}: the tests gave {", ".join(names) or "none"}')
    found = [wanted] if wanted else [name for name in _USUAL if name in names] or names
    if len(found) != 1 and found[:1] != [name for name in _USUAL if name in names][:1]:
        raise ValueError(f'the tests gave several metrics, give metric= one of {", ".join(names)}')
    if not found:
        raise ValueError('the tests gave no metric')
    return found[0]


def value(result: Dict[str, Any], metric: str) -> float:
    """Get a metric in percent.

    Args:
        result (dict): Of one run.
        metric (str): Its name.

    Returns:
        float: 0 where a detector's test gives none, as mmdet does where nothing was detected; NaN where any
        other test gives none.
    """
    is_detection = metric.startswith(('coco/', 'pascal_voc/'))
    number = result['metrics'].get(metric, 0.0 if is_detection else math.nan)
    return 100 * number if is_detection else number


def values(results: Results, metric: str) -> Dict[str, Dict[int, float]]:
    """Get a metric of all runs.

    Args:
        results (dict): Of all runs.
        metric (str): Its name.

    Returns:
        dict: Method -> seed -> value, in percent.
    """
    return {
        name: {seed: value(result, metric) for seed, result in seeds.items()}
        for name, seeds in results.items()
    }


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
    """
    results: Results = {}
    for line in csv.DictReader(io.StringIO(text)):
        name, seed = line.pop('method'), int(line.pop('seed'))
        known = {key: kind(line.pop(key)) for key, kind in _KNOWN.items() if key in line}
        metrics = {key: float(item) for key, item in line.items() if item}
        results.setdefault(name, {})[seed] = dict(known, metrics=metrics)
    return results


def gains(found: Dict[str, Dict[int, float]], name: str, other: str) -> List[float]:
    """Subtract the values of a method from those of another, seed by seed.

    Args:
        found (dict): From :func:`values`.
        name (str): The method that gains.
        other (str): The method it is compared with.

    Returns:
        list[float]: One a seed that both have.
    """
    own, theirs = found.get(name, {}), found.get(other, {})
    return [own[seed] - theirs[seed] for seed in own if seed in theirs]


def make_table(
    results: Results, comparison: Comparison, metric: str, teachers: Optional[Results] = None
) -> str:
    """Write the comparison in Markdown, with what one must know to read it.

    Args:
        results (dict): Of all runs.
        comparison (Comparison): What was compared.
        metric (str): The metric.
        teachers (dict, optional): Method -> 0 -> what its teacher reaches.

    Returns:
        str: The table and its notes.
    """
    found, published = values(results, metric), comparison.published
    times, memory = _medians(results, _clock(results)), _medians(results, 'memory')
    seeds = list(dict.fromkeys(seed for row in comparison.rows for seed in row.seeds))
    alone = next((row.name for row in comparison.rows if row.is_alone), None)
    others = [name for name in dict.fromkeys((alone, comparison.reference)) if name is not None]
    head = ['method', *(f'seed {seed}' for seed in seeds), 'mean ± sd']
    head += [f'gain over {name}' for name in others]
    head += [*(['published', 'gap'] if published else []), 'time of a step', 'peak memory']
    rows = []
    for name in comparison.methods:
        own = found.get(name, {})
        cells = [f'{own[seed]:.2f}' if seed in own else _MISSING for seed in seeds]
        cells.append(spread(list(own.values()), '.2f') if own else _MISSING)
        for other in others:
            gained = gains(found, name, other)
            cells.append(spread(gained, '+.2f') if gained and name != other else _MISSING)
        if published:
            theirs = published.get(name)
            cells.append(_MISSING if theirs is None else f'{theirs:.2f}')
            known = own and theirs is not None
            cells.append(f'{statistics.fmean(own.values()) - theirs:+.2f}' if known else _MISSING)
        cells += [_cost(times, name, alone, 1e-3, 'ms'), _cost(memory, name, alone, 2**20, 'MiB')]
        rows.append([name, *cells])
    notes = [f'- {note}' for note in _notes(results, comparison, metric, teachers or {})]
    return '\n'.join([markdown(head, rows), '', *notes])


def step_costs(results: Results, alone: Optional[str] = None) -> Dict[str, float]:
    """Get what a step of each method costs.

    Args:
        results (dict): Of all runs.
        alone (str, optional): The student alone, in whose steps the costs are told; seconds without.

    Returns:
        dict: Method -> median of its runs.
    """
    costs = _medians(results, _clock(results))
    unit = costs.get(alone, 1.0)
    return {name: cost / unit for name, cost in costs.items()}


def _medians(results: Results, key: str) -> Dict[str, float]:
    """Method -> the median of its runs."""
    return {
        name: statistics.median(result[key] for result in own.values())
        for name, own in results.items()
        if own
    }


def _clock(results: Results) -> str:
    """What times are compared: without a GPU the processor's, which suffers little from what runs beside."""
    on_gpu = any(result['memory_kind'] == 'CUDA' for own in results.values() for result in own.values())
    return 'seconds' if on_gpu else 'cpu_seconds'


def _cost(medians: Dict[str, float], name: str, alone: Optional[str], size: float, unit: str) -> str:
    """A median over seeds, and its ratio to that of the student alone."""
    if name not in medians:
        return _MISSING
    number = medians[name] / size
    text = f'{number:{".3g" if number < 100 else ",.0f"}} {unit}'
    return f'{text} (× {medians[name] / medians[alone]:.2f})' if alone in medians else text


def _notes(results: Results, comparison: Comparison, metric: str, teachers: Results) -> List[str]:
    """What one must know to read the table."""
    every = [result for seeds in results.values() for result in seeds.values()]
    kinds = ' and '.join(sorted({result['device'] for result in every}))
    threads = ', '.join(map(str, sorted({result['threads'] for result in every})))
    jobs = max(result['jobs'] for result in every)
    beside = '' if jobs == 1 else f'; taken with up to {jobs} runs side by side, which slow each other down'
    clock = '' if _clock(results) == 'seconds' else " of the processor's time"
    judged = "on the data that the input's options test with" if _is_moved(comparison) else 'on the test data'
    notes = [
        f'{metric}, in percent, of the last checkpoint {judged}. Mean and sample standard deviation over '
        'seeds; gains are paired by seed.',
        *_teachers(teachers, [row.name for row in comparison.rows if not row.is_alone], metric),
        'Recipe, data order and, for a seed, first weights of the student are shared, unless said below.',
        f'Time: median{clock} of forward, backward and update, without loading data ({kinds}; threads of a '
        f'run: {threads}{beside}).',
    ]
    if any(set(row.seeds) - set(results.get(row.name, {})) for row in comparison.rows):
        notes.append(f'{_MISSING} marks a run that was not done; means are over those that were.')
    if len({frozenset(row.seeds) for row in comparison.rows}) > 1:
        notes.append(f'The methods have seeds of their own; {_MISSING} also marks one that a method has not.')
    memory = {
        'CUDA': 'the most that CUDA held for tensors',
        'RSS': "the training process's peak resident memory, its libraries included",
    }
    notes.append(
        f'Memory: {", or ".join(memory[kind] for kind in sorted({r["memory_kind"] for r in every}))}.'
    )
    allowed: Dict[str, List[str]] = {}
    for row in comparison.rows:
        allowed.setdefault(', '.join(row.allow), []).append(row.name)
    for fields, names in allowed.items():
        if fields:
            notes.append(f'Allowed to differ in {fields}: {"; ".join(names)}.')
    minutes = sum(result['seconds'] * result['steps'] for result in every) / 60
    notes.append(f'All training steps, by the medians of their runs: {minutes:.0f} min.')
    return notes


def _is_moved(comparison: Comparison) -> bool:
    """Whether the input tests on other data than the base's config."""
    options = comparison.options
    whole = options.get('test_dataloader')
    return 'dataset' in (whole if isinstance(whole, dict) else {}) or any(
        key.split('.')[:2] == ['test_dataloader', 'dataset'] for key in options
    )


def _teachers(teachers: Results, taught: List[str], metric: str) -> List[str]:
    """What the teachers reach, and whose they are where that is not the same for all that are taught."""
    groups: Dict[str, List[str]] = {}
    for name, own in values(teachers, metric).items():
        groups.setdefault(f'{own[0]:.2f}', []).append(name)
    if list(groups.values()) == [taught]:
        return [f'The teacher itself: {reached}.' for reached in groups]
    if not groups:
        return []
    said = (f'{reached} ({"; ".join(names)})' for reached, names in groups.items())
    return [f'The teachers themselves: {", ".join(said)}.']
