"""What methods gain, over what they cost, as a picture."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from dpk_mm.utils.plots import COLOURS, new_figure, set_style
from dpk_mm.utils.text import deviation

_DOT, _BEST = COLOURS[:2]


def plot_cost(
    found: Dict[str, Dict[int, float]], costs: Dict[str, float], metric: str, unit: str, path: Path
) -> None:
    """Draw a point for each method, and a line through those that none beats at a lower cost.

    Args:
        found (dict): Method -> seed -> value; the point is the mean, the bar the standard deviation.
        costs (dict): Method -> cost of a step; methods without one, or without values, are left out.
        metric (str): What the values are.
        unit (str): What the costs are.
        path (Path): PNG to write.
    """
    names = [name for name, seeds in found.items() if seeds and name in costs]
    own = {name: list(found[name].values()) for name in names}
    points = {name: (costs[name], statistics.fmean(own[name])) for name in names}
    if not points:
        return
    figure = new_figure(8, max(3.5, 1 + 0.3 * len(names)))
    axes = figure.subplots()
    best = frontier(list(points.values()))
    if len(best) > 1:
        axes.step(*zip(*best), where='post', color=_BEST, linewidth=1, label='none is better for less')
    for name, (cost, mean) in points.items():
        axes.errorbar(cost, mean, yerr=deviation(own[name]), fmt='o', color=_DOT, capsize=3, markersize=5)
    axes.set(xlabel=unit, ylabel=f'{metric} in percent')
    axes.margins(x=0.06, y=0.08)
    set_style(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside upper right', frameon=False, fontsize=8)
    _label(axes, points)
    figure.savefig(path)


def frontier(points: Sequence[Tuple[float, float]]) -> List[Tuple[float, float]]:
    """Find the points that no other beats at the same cost or less.

    Args:
        points (Sequence[tuple]): Cost and value of each.

    Returns:
        list[tuple]: By cost, both growing.
    """
    best: List[Tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or value > best[-1][1]:
            best.append((cost, value))
    return best


def _label(axes: Any, points: Dict[str, Tuple[float, float]]) -> None:
    """Write the names beside the axes, from top to bottom as the points lie, each with a line to its own."""
    names = sorted(points, key=lambda name: points[name][1])
    heights = np.linspace(0.02, 0.98, len(names)) if len(names) > 1 else [0.5]
    for name, height in zip(names, heights):
        line = dict(arrowstyle='-', color='#888888', linewidth=0.5, shrinkA=0, shrinkB=3, relpos=(0, 0.5))
        axes.annotate(
            name, points[name], (1.04, height), textcoords='axes fraction',
            va='center', fontsize=8, arrowprops=line, annotation_clip=False,
        )  # fmt: skip
