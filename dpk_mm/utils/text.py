"""The tables of the demos, and the picture of the ratio."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

import numpy as np

from dpk_mm.utils.plots import COLOURS

# title -> (name of the metric upstream, factor that makes it percent)
Columns = Dict[str, Tuple[str, float]]


def spread(values: Sequence[float], form: str) -> str:
    """Write the mean, and the sample standard deviation where there are several values.

    Args:
        values (Sequence[float]): At least one.
        form (str): Format of a number; a ``+`` in it is for the mean alone.

    Returns:
        str: Such as ``'1.0 ± 0.2'``.
    """
    mean = format(statistics.fmean(values), form)
    return mean if len(values) == 1 else f'{mean} ± {format(statistics.stdev(values), form.lstrip("+"))}'


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table.

    Args:
        head (Sequence[str]): Titles of the columns; the first column stands left, the others right.
        rows (Iterable[Sequence[str]]): Cells.

    Returns:
        str: The table.
    """
    lines = [head, *rows]
    texts = ['| ' + ' | '.join(line) + ' |' for line in lines]
    return '\n'.join([texts[0], '|---|' + '---:|' * (len(head) - 1), *texts[1:]])


def _percent(result: Dict[str, Any], column: Tuple[str, float]) -> float:
    """A metric in percent; 0 where upstream gives none, as mmdet does where nothing was detected."""
    key, factor = column
    return factor * result.get(key, 0.0)


def count(number: int) -> str:
    """Write a number of parameters.

    Args:
        number (int): How many.

    Returns:
        str: Such as ``'1.56 M'``.
    """
    return f'{number / 1e6:.2f} M' if number >= 1e5 else f'{number / 1e3:.1f} k'


def make_table(rows: Dict[str, List[Dict[str, Any]]], columns: Columns) -> str:
    """Write the results as a Markdown table.

    Args:
        rows (dict): Model -> its results, one dict of metrics, ``params`` and ``ms`` a seed.
        columns (dict): Title -> name of a metric and the factor that makes it percent.

    Returns:
        str: The table; metrics in percent, mean and sample standard deviation where there are several.
    """
    lines = []
    for model, results in rows.items():
        cells = [
            spread([_percent(result, column) for result in results], '.1f') for column in columns.values()
        ]
        ms = statistics.fmean(result['ms'] for result in results)
        lines.append([model, *cells, count(results[0]['params']), f'{ms:.1f}'])
    return markdown(['model', *columns, 'params', 'ms/image'], lines)


def make_seed_table(rows: Dict[str, List[Dict[str, Any]]], columns: Columns, seeds: Sequence[int]) -> str:
    """Write the first metric of every seed as a Markdown table.

    Args:
        rows (dict): As for :func:`make_table`; models with one result only (the teacher) are left out.
        columns (dict): As for :func:`make_table`.
        seeds (Sequence[int]): Their seeds.

    Returns:
        str: The table.
    """
    title, column = next(iter(columns.items()))
    lines = []
    for model, results in rows.items():
        if len(results) == len(seeds):
            lines.append([model, *(f'{_percent(result, column):.1f}' for result in results)])
    return markdown([title, *(f'seed {seed}' for seed in seeds)], lines)


def plot_ratios(ratios: Dict[str, Dict[int, float]], labels: Dict[str, str], path: Union[str, Path]) -> None:
    """Draw the share of teacher tokens of every stage over training.

    Args:
        ratios (dict): Stage -> step -> ratio, from :func:`dpk_mm.utils.read_ratios`.
        labels (dict): Stage -> its name in the legend.
        path (str or Path): PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=130, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for (stage, curve), colour in zip(ratios.items(), COLOURS):
        steps, values = np.array([*curve]), np.array([*curve.values()])
        window = max(1, min(15, len(values) // 5))
        smooth = np.convolve(values, np.ones(window) / window, 'valid')
        axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
        middles = np.convolve(steps, np.ones(window) / window, 'valid')
        axes.plot(middles, smooth, color=colour, linewidth=2, label=labels.get(stage, stage))
    axes.set(
        xlabel='training step',
        ylabel='share of teacher tokens',
        title='Prior knowledge that the student is given (1 − CKA)',
        ylim=(0, 1),
    )
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25)
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
