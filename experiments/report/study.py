"""The runs of a study, and the figures that a page may state of them."""

import csv
import dataclasses
import functools
import json
import statistics
from pathlib import Path
from typing import Dict, List, Optional

import plot_teachers
from mmengine.config import Config

from dpk_mm.analysis.stats import rank_correlation
from dpk_mm.compare import csv_files, inputs, report, table
from dpk_mm.compare.verdict import Verdict
from dpk_mm.utils.text import count, markdown, spread

EXPERIMENTS = Path(__file__).resolve().parents[1]


class Study:
    """The files of a folder of ``experiments/``.

    Args:
        folder (Path): Has ``compare.py`` where tools/compare.py made the results.
        file (str): The CSV file with one line a run. Defaults to ``results.csv``.
    """

    def __init__(self, folder: Path, file: str = 'results.csv') -> None:
        self.folder = folder
        self.file = folder / file

    @functools.cached_property
    def results(self) -> table.Results:
        """Method -> seed -> what its run found."""
        return csv_files.read_csv(self.file.read_text(encoding='utf-8'))

    @functools.cached_property
    def comparison(self) -> inputs.Comparison:
        """The input of tools/compare.py, with the methods that were run."""
        given = inputs.read(Config.fromfile(str(self.folder / 'compare.py')))
        return dataclasses.replace(
            given,
            methods={name: spec for name, spec in given.methods.items() if name in self.results},
            reference=given.reference if given.reference in self.results else None,
        )

    @functools.cached_property
    def series(self) -> Dict[str, List[plot_teachers.Point]]:
        """Method -> its teachers and their students."""
        return plot_teachers.read_series(self.folder)

    # tables

    def table(self) -> str:
        """The table that tools/compare.py writes, with its notes."""
        metric = table.find_metric(self.results, self.comparison.metric)
        file = self.folder / 'teachers.csv'
        teachers = csv_files.read_csv(file.read_text(encoding='utf-8')) if file.exists() else None
        return report.make_table(self.results, self.comparison, metric, teachers)

    def means(self, columns: Dict[str, str], form: str = '.1f', params: bool = False) -> str:
        """A table of means and standard deviations.

        Args:
            columns (dict): Title -> metric.
            form (str): Format of a number. Defaults to one digit after the point.
            params (bool): Whether the last column is the number of parameters. Defaults to False.
        """
        rows = []
        for name, seeds in self.results.items():
            cells = [self.mean(name, metric, form) for metric in columns.values()]
            if params:
                cells.append(count(next(iter(seeds.values()))['params']))
            rows.append([name, *cells])
        return markdown(['model', *columns, *(['params'] if params else [])], rows)

    def seeds(self, metric: str, title: str, form: str = '.1f') -> str:
        """A table of the single runs, of the methods that were run with several seeds.

        Args:
            metric (str): What it shows.
            title (str): Of the first column.
            form (str): Format of a number. Defaults to one digit after the point.
        """
        found = {name: own for name, own in self.values(metric).items() if len(own) > 1}
        names = sorted({seed for own in found.values() for seed in own})
        rows = [
            [name, *(format(own[seed], form) if seed in own else '–' for seed in names)]
            for name, own in found.items()
        ]
        return markdown([title, *(f'seed {seed}' for seed in names)], rows)

    # figures

    def values(self, metric: Optional[str] = None) -> Dict[str, Dict[int, float]]:
        """Method -> seed -> value, in percent; the metric is found as tools/compare.py does."""
        return table.values(self.results, metric or table.find_metric(self.results))

    def gains(self, name: str, other: str) -> List[float]:
        """What a method has more than another, one number for each seed that both have.

        Raises:
            KeyError: They have no seed in common.
        """
        found = self.values()
        if gains := table.gains(found, name, other):
            return gains
        raise KeyError(f'no seed of both {name!r} and {other!r} among {", ".join(found)}')

    def mean(self, name: str, metric: Optional[str] = None, form: str = '.2f') -> str:
        """Mean and standard deviation of a method."""
        return spread(list(self.values(metric)[name].values()), form)

    def average(self, name: str) -> str:
        """The mean of a method alone."""
        return f'{statistics.fmean(self.values()[name].values()):.1f}'

    def gain(self, name: str, other: str) -> str:
        """Mean and standard deviation of what a method has more than another, paired by seed."""
        return spread(self.gains(name, other), '+.2f')

    def points(self, name: str, other: str) -> str:
        """The mean of :meth:`gain` alone."""
        return f'{statistics.fmean(self.gains(name, other)):.1f}'

    def each(self, name: str, other: str, form: str = '+.2f') -> str:
        """What a method has more than another, seed by seed."""
        return ', '.join(format(gain, form) for gain in self.gains(name, other))

    def p(self, name: str, other: str) -> str:
        """What the t-test of :class:`Verdict` gives."""
        return f'p = {Verdict(self.gains(name, other)).p:.2g}'

    def step_ms(self, name: str) -> str:
        """The time of a step, as the table has it, in ms."""
        return f'{1e3 * table.step_costs(self.results)[name]:,.0f}'

    def slope(self, method: str) -> str:
        """Points of a method's students for a point of their teachers."""
        return f'{plot_teachers.slope(self.series[method]):+.2f}'

    def agreement(self, method: str, column: Optional[str] = None) -> str:
        """Spearman's correlation of a method's students with their teachers.

        Args:
            method (str): The method.
            column (str, optional): The column of ``ranking.csv`` that says how good a teacher is. Defaults to
                the metric of the teachers themselves.
        """
        points = self.series[method]
        if column is None:
            return f'{plot_teachers.agreement(points):+.2f}'
        ranking = {line['teacher']: float(line[column]) for line in read_lines(self.folder / 'ranking.csv')}
        ranks = [ranking[point.teacher] for point in points]
        return f'{rank_correlation(ranks, [point.mean for point in points]):+.2f}'

    def ratio(self, file: str) -> str:
        """What a step costs over the floor, by a report of profile_step.py."""
        return f'{json.loads((self.folder / file).read_text(encoding="utf-8"))["ratio"]:.2f}'

    # what a page may state without a figure

    def order(self, *names: str) -> None:
        """Check that the means of methods are in this order, the highest first.

        Raises:
            ValueError: They are not.
        """
        means = {name: statistics.fmean(self.values()[name].values()) for name in names}
        for better, worse in zip(names, names[1:]):
            if means[better] < means[worse]:
                raise ValueError(
                    f'{better!r} is said to be above {worse!r}, '
                    f'but the means are {means[better]:.2f} and {means[worse]:.2f}'
                )

    def best(self, *names: str) -> None:
        """Check that the mean of the first method is not below any of the others."""
        for other in names[1:]:
            self.order(names[0], other)

    def verdict(self, words: str, name: str, other: str) -> None:
        """Check what the t-test says of a method beside another.

        Raises:
            ValueError: The verdict has other words.
        """
        verdict = Verdict(self.gains(name, other))
        if verdict.words != words:
            raise ValueError(
                f'{name!r} over {other!r} is said to be {words!r}, but is {verdict.words!r}: {verdict}'
            )


def read_lines(path: Path) -> List[Dict[str, str]]:
    """The lines of a CSV file, by its columns."""
    with path.open(encoding='utf-8') as file:
        return list(csv.DictReader(file))
