"""Draw what students reach over what their teachers reach, and say how far the two go together.

FOLDER is one that tools/compare.py wrote, with methods called "METHOD, TEACHER": results.csv has what their
students reach, teachers.csv what their teachers do. Writes teachers.png there.
"""

import argparse
import statistics
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dpk_mm.analysis.stats import rank_correlation
from dpk_mm.compare import table
from dpk_mm.utils import cli
from dpk_mm.utils.plots import COLOURS, new_figure, set_style

_MARKS = 'osD^v'


class Point(NamedTuple):
    """A teacher, and the students that one method gave it."""

    teacher: str
    own: float
    students: List[float]  # one a seed, of the seeds that all points of a method have

    @property
    def mean(self) -> float:
        """Of the students."""
        return statistics.fmean(self.students)


def read_series(folder: Path, metric: Optional[str] = None) -> Dict[str, List[Point]]:
    """Read what the teachers' students reach.

    Args:
        folder (Path): Has ``results.csv`` and ``teachers.csv``.
        metric (str, optional): In both files; found as tools/compare.py does.

    Returns:
        dict: Method -> its points, the worst teacher first.

    Raises:
        ValueError: No method has two teachers, one of its teachers was not tested, or its students have no
            seed in common.
    """
    results = table.read_csv((folder / 'results.csv').read_text(encoding='utf-8'))
    metric = table.find_metric(results, metric)
    own = table.values(table.read_csv((folder / 'teachers.csv').read_text(encoding='utf-8')), metric)
    series: Dict[str, List[Tuple[str, float, Dict[int, float]]]] = {}
    for name, students in table.values(results, metric).items():
        method, _, teacher = name.rpartition(', ')
        if method and name in own:
            series.setdefault(method, []).append((teacher, own[name][0], students))
    untested = [name for name in results if name not in own and name.rpartition(', ')[0] in series]
    if untested:
        raise ValueError(f'{folder}: teachers.csv has no teacher of {"; ".join(untested)}')
    # a method whose name has a comma for another reason has the same teacher in all its rows
    series = {
        method: lines for method, lines in series.items() if len({reached for _, reached, _ in lines}) > 1
    }
    if not series:
        raise ValueError(f'{folder}: no two methods are called "METHOD, TEACHER" and have different teachers')
    return {method: _points(method, lines) for method, lines in series.items()}


def _points(method: str, lines: List[Tuple[str, float, Dict[int, float]]]) -> List[Point]:
    """The points of a method, of the seeds that all its students have."""
    seeds = sorted(set.intersection(*(set(students) for *_, students in lines)))
    if not seeds:
        raise ValueError(f'{method}: its students have no seed in common')
    points = [Point(teacher, own, [students[seed] for seed in seeds]) for teacher, own, students in lines]
    return sorted(points, key=lambda point: point.own)


def slope(points: Sequence[Point]) -> float:
    """Points of the student for a point of the teacher: a least-squares line through the means."""
    return float(np.polyfit([point.own for point in points], [point.mean for point in points], 1)[0])


def agreement(points: Sequence[Point]) -> float:
    """Spearman's rank correlation of the teachers with the means of their students."""
    return rank_correlation([point.own for point in points], [point.mean for point in points])


def plot(series: Dict[str, List[Point]], path: Path) -> None:
    """Draw a line for each method, with every seed.

    Args:
        series (dict): From :func:`read_series`.
        path (Path): PNG to write.
    """

    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    for (method, points), colour, mark in zip(series.items(), COLOURS * len(series), _MARKS * len(series)):
        x = [point.own for point in points]
        axes.plot(x, [point.mean for point in points], color=colour, marker=mark, label=method)
        for point in points:
            axes.plot([point.own] * len(point.students), point.students, '.', color=colour, alpha=0.5)
    names = {point.own: point.teacher for points in series.values() for point in points}
    for own, name in names.items():
        axes.axvline(own, color='#999999', linewidth=0.6, linestyle=':', zorder=0)
        axes.annotate(
            name, (own, 1), xycoords=('data', 'axes fraction'), xytext=(0, 3), textcoords='offset points',
            rotation=35, fontsize=8,
        )  # fmt: skip
    axes.set(xlabel='the teacher itself', ylabel='its student')
    set_style(axes)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Draw and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='of results.csv and teachers.csv')
    parser.add_argument('--metric', help='the metric to compare (default: as tools/compare.py)')
    args = parser.parse_args(argv)
    try:
        series = read_series(args.folder, args.metric)
    except (FileNotFoundError, ValueError, KeyError) as error:
        cli.die(f'{type(error).__name__}: {error}')
    plot(series, args.folder / 'teachers.png')
    for method, points in series.items():
        print(f'{method}: {slope(points):+.2f} for a point of the teacher, rank {agreement(points):+.2f}')
    print(f'wrote {args.folder / "teachers.png"}')


if __name__ == '__main__':
    main()
