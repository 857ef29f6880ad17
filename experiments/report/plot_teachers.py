"""Draw what students reach over what their teachers reach.

FOLDER is one that tools/compare.py wrote, with rows called "METHOD, TEACHER". Writes teachers.png there.
"""

import argparse
import statistics
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from dpk_mm.compare import csv_files, table
from dpk_mm.utils import cli
from dpk_mm.utils.plots import COLOURS, new_figure, set_style


class Point(NamedTuple):
    """A teacher, and the students that one method gave it."""

    teacher: str
    own: float  # what the teacher reaches, in percent
    students: List[float]  # what its students reach, one a seed

    @property
    def mean(self) -> float:
        """Of the students."""
        return statistics.fmean(self.students)


def read_series(folder: Path) -> Dict[str, List[Point]]:
    """Read what the students of each teacher reach.

    Args:
        folder (Path): Has ``results.csv`` and ``teachers.csv``.

    Returns:
        dict: Method -> its points, the worst teacher first; students are of the seeds that all points have.

    Raises:
        ValueError: No method has two teachers.
    """
    results, teachers = (
        csv_files.read_csv((folder / name).read_text(encoding='utf-8'))
        for name in ('results.csv', 'teachers.csv')
    )
    metric = table.find_metric(results)
    own = {name: reached[0] for name, reached in table.values(teachers, metric).items()}
    methods: Dict[str, Dict[str, Dict[int, float]]] = {}
    for name, students in table.values(results, metric).items():
        if name in own:
            methods.setdefault(name.rpartition(', ')[0], {})[name] = students
    series = {}
    for method, rows in methods.items():
        # a name with a comma for another reason has the same teacher as its neighbours
        if method and len({own[name] for name in rows}) > 1:
            seeds = sorted(set.intersection(*map(set, rows.values())))
            points = [
                Point(name.rpartition(', ')[2], own[name], [students[seed] for seed in seeds])
                for name, students in rows.items()
            ]
            series[method] = sorted(points, key=lambda point: point.own)
    if not series:
        raise ValueError(f'{folder}: no two rows are called "METHOD, TEACHER" and have different teachers')
    return series


def slope(points: Sequence[Point]) -> float:
    """Points of the student for a point of the teacher: a least-squares line through the means."""
    return float(np.polyfit([point.own for point in points], [point.mean for point in points], 1)[0])


def agreement(points: Sequence[Point]) -> float:
    """Spearman's correlation of the teachers with the means of their students."""
    return float(stats.spearmanr([point.own for point in points], [point.mean for point in points]).statistic)


def draw(series: Dict[str, List[Point]]) -> Figure:
    """Draw a line for each method, with every seed.

    Args:
        series (dict): From :func:`read_series`.
    """
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    for (method, points), colour, mark in zip(series.items(), COLOURS * len(series), 'osD^v' * len(series)):
        x = [point.own for point in points]
        axes.plot(x, [point.mean for point in points], color=colour, marker=mark, label=method)
        for point in points:
            axes.plot([point.own] * len(point.students), point.students, '.', color=colour, alpha=0.5)
    for own, name in {point.own: point.teacher for points in series.values() for point in points}.items():
        axes.axvline(own, color='#999999', linewidth=0.6, linestyle=':', zorder=0)
        axes.annotate(
            name, (own, 1), xycoords=('data', 'axes fraction'), xytext=(0, 3), textcoords='offset points',
            rotation=35, fontsize=8,
        )  # fmt: skip
    axes.set(xlabel='the teacher itself', ylabel='its student')
    set_style(axes)
    axes.legend(frameon=False, fontsize=9)
    return figure


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Draw, and print slope and correlation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='of results.csv and teachers.csv')
    folder = parser.parse_args(argv).folder
    try:
        series = read_series(folder)
    except (FileNotFoundError, ValueError) as error:
        cli.die(f'{type(error).__name__}: {error}')
    draw(series).savefig(folder / 'teachers.png')
    for method, points in series.items():
        print(f'{method}: {slope(points):+.2f} for a point of the teacher, rank {agreement(points):+.2f}')


if __name__ == '__main__':
    main()
