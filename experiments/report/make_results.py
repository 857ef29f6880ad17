"""Write the pages of figures, docs/RESULTS.md and others, from experiments/: texts, and figures of the runs.

Each experiments/PAGE.md.jinja becomes docs/PAGE.md, and experiments/report/claims.py docs/claims.png. The texts
ask for figures by name, such as {{ study('cifar100_short').gain('kd', 'alone') }}, so they cannot say another
figure than the run.
"""

import argparse
import csv
import functools
import itertools
import json
import re
import statistics
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import jinja2
import plot_teachers
import verdicts
from mmengine.config import Config

from dpk_mm.analysis.stats import rank_correlation
from dpk_mm.compare import inputs, table
from dpk_mm.utils import cli
from dpk_mm.utils.text import count, markdown, spread

ROOT = Path(__file__).resolve().parents[2]


class Study:
    """The runs of a folder: what was compared, and what was found.

    Args:
        folder (Path): Has ``compare.py`` where tools/compare.py made it.
        name (str): Its file with a line a run.
    """

    def __init__(self, folder: Path, name: str = 'results.csv') -> None:
        self.folder = folder
        self.results = table.read_csv((folder / name).read_text(encoding='utf-8'))

    @functools.cached_property
    def comparison(self) -> inputs.Comparison:
        """The input."""
        return inputs.read(Config.fromfile(str(self.folder / 'compare.py')))

    def table(self) -> str:
        """The table that tools/compare.py writes."""
        metric = table.find_metric(self.results, self.comparison.metric)
        file = self.folder / 'teachers.csv'
        teachers = table.read_csv(file.read_text(encoding='utf-8')) if file.exists() else None
        return table.make_table(self.results, self.comparison, metric, teachers)

    def means(self, columns: Dict[str, str], form: str = '.1f', params: bool = False) -> str:
        """A table of means and standard deviations.

        Args:
            columns (dict): Title -> metric.
            form (str): Format of a number.
            params (bool): Whether there is a column with the number of parameters.
        """
        rows = []
        for name, seeds in self.results.items():
            cells = [self.mean(name, metric, form) for metric in columns.values()]
            if params:
                cells.append(count(next(iter(seeds.values()))['params']))
            rows.append([name, *cells])
        return markdown(['model', *columns, *(['params'] if params else [])], rows)

    def seeds(self, metric: str, title: str = '', form: str = '.1f') -> str:
        """A table of the seeds, of the methods that were run with several.

        Args:
            metric (str): What it shows.
            title (str): Of the first column.
            form (str): Format of a number.
        """
        found = {name: own for name, own in self.values(metric).items() if len(own) > 1}
        names = sorted({seed for own in found.values() for seed in own})
        rows = [
            [name, *(format(own[seed], form) if seed in own else '–' for seed in names)]
            for name, own in found.items()
        ]
        return markdown([title, *(f'seed {seed}' for seed in names)], rows)

    def values(self, metric: Optional[str] = None) -> Dict[str, Dict[int, float]]:
        """Method -> seed -> value, in percent."""
        return table.values(self.results, metric or table.find_metric(self.results))

    def mean(self, name: str, metric: Optional[str] = None, form: str = '.2f') -> str:
        """Mean and standard deviation of a method."""
        return spread(list(self.values(metric)[name].values()), form)

    def gain(self, name: str, other: str, metric: Optional[str] = None, form: str = '+.2f') -> str:
        """Mean and standard deviation of what a method has more than another, paired by seed."""
        return spread(self._gains(name, other, metric), form)

    def points(self, name: str, other: str, metric: Optional[str] = None, form: str = '.1f') -> str:
        """The mean alone."""
        return format(statistics.fmean(self._gains(name, other, metric)), form)

    def each(self, name: str, other: str, metric: Optional[str] = None, form: str = '+.1f') -> str:
        """What a method has more than another, seed by seed."""
        return ', '.join(format(gain, form) for gain in self._gains(name, other, metric))

    def verdict(self, name: str, other: str, metric: Optional[str] = None) -> verdicts.Verdict:
        """Whether a method beats another, seed by seed.

        Args:
            name (str): The method.
            other (str): The other.
            metric (str, optional): What they are judged by; found as tools/compare.py does.
        """
        return verdicts.Verdict(self._gains(name, other, metric))

    def in_order(self, *names: str, metric: Optional[str] = None) -> str:
        """Hold a text to the order of methods that it states, the best first; adds nothing to it.

        Raises:
            ValueError: The means are in another order.
        """
        means = {name: statistics.fmean(self.values(metric)[name].values()) for name in names}
        for better, worse in zip(names, names[1:]):
            if means[better] < means[worse]:
                raise ValueError(
                    f'{self.folder.name}: a text says that {better!r} is above {worse!r}, '
                    f'the means are {means[better]:.2f} and {means[worse]:.2f}'
                )
        return ''

    def says(self, words: str, name: str, other: str, metric: Optional[str] = None) -> str:
        """Hold a text to what it says of a method beside another; adds nothing to it.

        Raises:
            ValueError: The verdict has other words.
        """
        verdict = self.verdict(name, other, metric)
        if verdict.words != words:
            raise ValueError(
                f'{self.folder.name}: a text says {words!r} of {name!r} over {other!r}, '
                f'but it is {verdict.words!r}: {verdict}'
            )
        return ''

    def step_ms(self, name: str) -> str:
        """The time of a step, as the table has it, in ms."""
        return f'{1e3 * table.step_costs(self.results)[name]:,.0f}'

    def slope(self, method: str) -> str:
        """Points of a method's students for a point of their teachers; see experiments/report/plot_teachers.py."""
        return f'{plot_teachers.slope(self.series[method]):+.2f}'

    def agreement(self, method: str, column: Optional[str] = None) -> str:
        """Rank correlation of a method's students with their teachers.

        Args:
            method (str): The method.
            column (str, optional): A column of ``ranking.csv``, by
                tools/analysis_tools/rank_teachers.py, that says how good the teachers are; by default their own metric.
        """
        points = self.series[method]
        if column is None:
            return f'{plot_teachers.agreement(points):+.2f}'
        ranking = {line['teacher']: float(line[column]) for line in read_lines(self.folder / 'ranking.csv')}
        ranked = [ranking[point.teacher] for point in points]
        return f'{rank_correlation(ranked, [point.mean for point in points]):+.2f}'

    @functools.cached_property
    def series(self) -> Dict[str, List[plot_teachers.Point]]:
        """Method -> its teachers and their students."""
        return plot_teachers.read_series(self.folder)

    def _gains(self, name: str, other: str, metric: Optional[str]) -> List[float]:
        found = self.values(metric)
        if gains := table.gains(found, name, other):
            return gains
        raise KeyError(f'{self.folder.name}: no seed of both {name!r} and {other!r} among {", ".join(found)}')


def render(folder: Path) -> Dict[str, str]:
    """Make the pages.

    Args:
        folder (Path): ``experiments/``.

    Returns:
        dict: Name of the page -> Markdown.

    Raises:
        KeyError: A text asks for a method that was not run.
        jinja2.TemplateError: A text is wrong.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.globals['study'] = lambda name, file='results.csv': Study(folder / name, file)
    environment.globals.update(min=min, max=max, zip=zip)
    environment.globals['figures'] = lambda name: json.loads((folder / name).read_text(encoding='utf-8'))
    environment.globals['claims'] = functools.partial(claims, folder)
    environment.globals['not_run'] = functools.partial(not_run, folder)
    environment.globals['lines'] = lambda name: read_lines(folder / name)
    templates = sorted(path.name for path in folder.glob('*.md.jinja'))
    return {name.removesuffix('.jinja'): environment.get_template(name).render() for name in templates}


def claims(folder: Path) -> List[verdicts.Claim]:
    """What the runs say of the claims in ``report/claims.py``.

    Args:
        folder (Path): ``experiments/``.

    Returns:
        list[Claim]: In the order of the file.

    Raises:
        KeyError: A claim names a method that was not run.
    """
    return [
        verdicts.Claim(
            asked.claim,
            asked.paper,
            [
                verdicts.Finding(gain.on, Study(folder / gain.study).verdict(gain.of, gain.over))
                for gain in asked.gains
            ],
        )
        for asked in Config.fromfile(str(folder / 'report/claims.py')).claims
    ]


def not_run(folder: Path) -> List[Dict[str, Any]]:
    """The inputs of tools/compare.py that have no results: their paths, what they are for, rows and runs.

    Args:
        folder (Path): ``experiments/``.
    """
    found = []
    for file in sorted(folder.glob('*/compare.py')):
        if (file.parent / 'results.csv').exists():
            continue
        # what the file says before its commands, which are further in
        head = itertools.takewhile(re.compile('# (?! )').match, file.read_text(encoding='utf-8').splitlines())
        rows = inputs.read(Config.fromfile(str(file))).rows
        found.append(
            dict(
                path=file.relative_to(folder.parent).as_posix(),
                about=' '.join(line[2:] for line in head).rstrip(':.') + '.',
                rows=len(rows),
                runs=sum(len(row.seeds) for row in rows),
            )
        )
    return found


def read_lines(path: Path) -> List[Dict[str, str]]:
    """The lines of a CSV file, by its columns."""
    with path.open(encoding='utf-8') as file:
        return list(csv.DictReader(file))


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--out', type=Path, default=ROOT / 'docs', help='folder to write them to')
    args = parser.parse_args(argv)
    try:
        pages, found = render(ROOT / 'experiments'), claims(ROOT / 'experiments')
    except (jinja2.TemplateError, AttributeError, KeyError, FileNotFoundError, ValueError) as error:
        cli.die(f'{type(error).__name__}: {error}')
    args.out.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (args.out / name).write_text(text, encoding='utf-8')
        print(f'wrote {args.out / name}')
    verdicts.plot(found, args.out / 'claims.png')
    print(f'wrote {args.out / "claims.png"}')


if __name__ == '__main__':
    main()
