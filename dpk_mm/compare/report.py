"""What the runs found, in Markdown: the table of a comparison and its notes."""

import statistics
from typing import Dict, List, Optional

from dpk_mm.compare.inputs import Comparison
from dpk_mm.compare.table import Results, gains, medians, step_time, values
from dpk_mm.utils.text import markdown, spread

_MISSING = '–'


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
    times, memory = medians(results, step_time(results)), medians(results, 'memory')
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
    clock = '' if step_time(results) == 'seconds' else " of the processor's time"
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
            rest = [row.name for row in comparison.rows if row.name not in names]
            named = f'all but {"; ".join(rest)}' if 0 < len(rest) < len(names) else '; '.join(names)
            notes.append(f'Allowed to differ in {fields}: {named}.')
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
