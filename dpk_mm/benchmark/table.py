"""What the runs found, as a table."""

import csv
import io
import statistics
from collections.abc import Sequence
from typing import Any, Dict, List, Optional

from dpk_mm.benchmark.plan import Method
from dpk_mm.demo.report import markdown, spread

# method -> seed -> what its run found
Results = Dict[str, Dict[int, Dict[str, Any]]]
_USUAL = ('accuracy/top1', 'coco/bbox_mAP', 'pascal_voc/mAP')
_MISSING = '–'


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
        float: 0 where upstream gives none, as mmdet does where nothing was detected.
    """
    factor = 100 if metric.startswith(('coco/', 'pascal_voc/')) else 1
    return factor * result['metrics'].get(metric, 0.0)


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
        results (dict): Of all runs.

    Returns:
        str: Comma-separated; seconds are medians of a step, memory is in MiB.
    """
    lines = [
        dict(
            method=name,
            seed=seed,
            **result['metrics'],
            seconds=result['seconds'],
            cpu_seconds=result['cpu_seconds'],
            steps=result['steps'],
            memory=round(result['memory'] / 2**20, 1),
            **{key: result[key] for key in ('memory_kind', 'device', 'jobs', 'threads', 'params')},
        )
        for name, seeds in results.items()
        for seed, result in sorted(seeds.items())
    ]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(key for line in lines for key in line)), lineterminator='\n'
    )
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def make_table(
    results: Results,
    methods: Sequence[Method],
    seeds: Sequence[int],
    metric: str,
    reference: Optional[str] = None,
) -> str:
    """Write the comparison in Markdown, with what one must know to read it.

    Args:
        results (dict): Of all runs.
        methods (Sequence[Method]): The rows.
        seeds (Sequence[int]): The seeds.
        metric (str): The metric.
        reference (str, optional): A method to compare the others with, beside the student alone.

    Returns:
        str: The table and its notes.
    """
    found = values(results, metric)
    alone = next((method.name for method in methods if method.is_alone), None)
    others = [name for name in dict.fromkeys((alone, reference)) if name is not None]
    head = [
        'method',
        *(f'seed {seed}' for seed in seeds),
        'mean ± sd',
        *(f'gain over {name}' for name in others),
    ]
    head += ['time of a step', 'peak memory']
    rows = []
    for method in methods:
        own = found.get(method.name, {})
        cells = [f'{own[seed]:.2f}' if seed in own else _MISSING for seed in seeds]
        cells.append(spread(list(own.values()), '.2f') if own else _MISSING)
        for name in others:
            theirs = found.get(name, {})
            gains = [own[seed] - theirs[seed] for seed in seeds if seed in own and seed in theirs]
            cells.append(spread(gains, '+.2f') if gains and name != method.name else _MISSING)
        for key, unit, form in (('seconds', 1e-3, '{:.3g} ms'), ('memory', 2**20, '{:.0f} MiB')):
            cells.append(_cost(results, method.name, alone, key, unit, form))
        rows.append([method.name, *cells])
    return '\n'.join([markdown(head, rows), '', *(f'- {note}' for note in _notes(results, methods, metric))])


def _cost(results: Results, name: str, alone: Optional[str], key: str, unit: float, form: str) -> str:
    """A median over seeds, and its ratio to that of the student alone."""
    own, theirs = ([result[key] for result in results.get(who, {}).values()] for who in (name, alone))
    if not own:
        return _MISSING
    mine = statistics.median(own)
    text = form.format(mine / unit)
    return text if not theirs else f'{text} (× {mine / statistics.median(theirs):.2f})'


def _notes(results: Results, methods: Sequence[Method], metric: str) -> List[str]:
    """What one must know to read the table."""
    every = [result for seeds in results.values() for result in seeds.values()]
    kinds = ' and '.join(sorted({result['device'] for result in every}))
    threads = ', '.join(map(str, sorted({result['threads'] for result in every})))
    jobs = max(result['jobs'] for result in every)
    beside = '' if jobs == 1 else f'; taken with up to {jobs} runs side by side, which slow each other down'
    notes = [
        f'{metric}, in percent, of the last checkpoint on the test data. Mean and sample standard deviation '
        'over seeds; gains are paired by seed.',
        'Recipe, data order and, for a seed, first weights of the student are shared, unless said below.',
        f'Time: median of forward, backward and update, without loading data ({kinds}; threads of a run: '
        f'{threads}{beside}).',
    ]
    memory = {
        'CUDA': 'the most that CUDA held for tensors',
        'RSS': "the training process's peak resident memory, its libraries included",
    }
    notes.append(
        f'Memory: {", or ".join(memory[kind] for kind in sorted({r["memory_kind"] for r in every}))}.'
    )
    for method in methods:
        if method.allow:
            notes.append(f'{method.name} was allowed to differ in: {", ".join(method.allow)}.')
    return notes
