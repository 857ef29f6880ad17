"""The order of teachers that rank_teachers.py finds: table, CSV, and how sure the order is."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
from scipy import stats

from dpk_mm.analysis.stats import rank_correlation
from dpk_mm.analysis.teachers import TeacherRow
from dpk_mm.compare import table
from dpk_mm.utils.text import markdown

# header, format, one value a teacher
Column = tuple[str, str, Sequence[Any]]


@dataclass
class Ranking:
    """Teachers, best first: by the student's gain in the short run, or without one by their own metric.

    Args:
        metric (str): What models are compared by; accuracies and average precisions are in percent.
        images (int): Size of the sample.
        student (TeacherRow): The student.
        rows (list[TeacherRow]): The teachers.
        steps (int, optional): Length of the short run.
        taught (dict): Label -> seed -> metric of the student after the short run, with that teacher; under
            the student's label, alone. Empty without a short run.
    """

    metric: str
    images: int
    student: TeacherRow
    rows: list[TeacherRow]
    steps: Optional[int] = None
    taught: dict[str, dict[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key = (lambda row: self.gains(row).mean()) if self.taught else self.own
        self.rows = sorted(self.rows, key=lambda row: -np.nan_to_num(key(row), nan=-np.inf))

    @property
    def seeds(self) -> list[int]:
        """Those of the short run; empty without."""
        return list(self.taught.get(self.student.label, ()))

    @property
    def stages(self) -> list[str]:
        """The stages that some teacher was compared at."""
        return list(dict.fromkeys(stage for row in self.rows for stage in row.gap))

    def own(self, row: TeacherRow) -> float:
        """A model's own metric; NaN where it was never trained."""
        return np.nan if row.metrics is None else table.value(dict(metrics=row.metrics), self.metric)

    def after(self, row: TeacherRow) -> np.ndarray:
        """(seeds,) metrics of the student after the short run."""
        return np.array([self.taught[row.label][seed] for seed in self.seeds])

    def gains(self, row: TeacherRow) -> np.ndarray:
        """(seeds,) what the student gains over the short run alone."""
        return self.after(row) - self.after(self.student)

    def image_margin(self, *values: float) -> float:
        """Half of the 95 % interval that the choice of images gives one accuracy, or a difference of two.

        Binomial, as if each had images of its own: on the same images a difference has a smaller interval.
        NaN for other metrics, which have no such formula.
        """
        if not self.metric.startswith('accuracy/'):
            return float('nan')
        shares = np.clip(np.array(values) / 100, 0, 1)
        return float(196 * np.sqrt((shares * (1 - shares)).sum() / self.images))

    def margin(self, first: np.ndarray, second: np.ndarray) -> float:
        """Half of the 95 % interval of the mean of ``first - second``, (seeds,) each; NaN if unknown."""
        images = self.image_margin(first.mean(), second.mean())
        if len(first) < 2:
            return images
        seeds = stats.t.ppf(0.975, len(first) - 1) * stats.sem(first - second)
        return float(np.hypot(seeds, np.nan_to_num(images)))

    def columns(self) -> list[Column]:
        """The columns of the table."""
        rows = self.rows
        found: list[Column] = [
            ('teacher', 's', [row.label for row in rows]),
            (self.metric, '.2f', [self.own(row) for row in rows]),
            *((f'1 - CKA {stage}', '.2f', self.gaps(stage)) for stage in self.stages),
            ('parameters', ',', [row.params for row in rows]),
            ('forward / student step', '.2f', [row.cost for row in rows]),
        ]
        gains = np.array([self.gains(row) for row in rows])  # (rows, seeds)
        if self.seeds:
            found.append(('gain', '+.2f', gains.mean(axis=1)))
        if len(self.seeds) > 1:
            found.append(('gain sd', '.2f', gains.std(axis=1, ddof=1)))
            found += [(f'gain seed {seed}', '+.2f', gain) for seed, gain in zip(self.seeds, gains.T)]
        return found

    def gaps(self, stage: str) -> np.ndarray:
        """(rows,) gaps at a stage; NaN where there is none."""
        return np.array([row.gap.get(stage, np.nan) for row in self.rows], dtype=float)

    def write_csv(self, path: Path) -> None:
        """Write the table, in full precision."""
        head, _, values = zip(*self.columns())
        with path.open('w', newline='') as file:
            csv.writer(file, lineterminator='\n').writerows([head, *zip(*values)])

    def to_markdown(self) -> str:
        """The table, best teacher first, what the student has, and the verdict."""
        head, formats, values = zip(*self.columns())
        cells = [[format(cell, form) for cell, form in zip(line, formats)] for line in zip(*values)]
        known = [f'{self.student.params:,} parameters']
        if self.student.metrics is not None:
            known.append(f'{self.metric} {self.own(self.student):.2f}')
        if self.seeds:
            alone = ', '.join(f'{value:.2f}' for value in self.after(self.student))
            known.append(f'after {self.steps} steps alone {alone}')
        said = '\n'.join(f'- {line}' for line in [*self.verdict(), *self.correlations(), *self.untrained()])
        student = f'Student: {self.student.label}, {"; ".join(known)}. Sample: {self.images} images.'
        return f'{markdown(head, cells)}\n\n{student}\n\n{said}\n'

    def verdict(self) -> list[str]:
        """Say in plain sentences what the order is by, and which differences are significant."""
        shown = 'All other columns are shown, not used.'
        if not self.seeds:
            lines = [
                f'Ranked by their own metric alone. {shown}',
                'Whether the better teacher makes the better student was not measured: --short-run does it.',
            ]
            found = [(row.label, np.array([self.own(row)])) for row in self.rows]
        else:
            seeds = ', '.join(map(str, self.seeds))
            lines = [f"Ranked by the student's gain after {self.steps} steps (seeds: {seeds}). {shown}"]
            found = [(row.label, self.after(row)) for row in self.rows]
            lines.append(self._compare(*found[0], 'the student alone', self.after(self.student)))
        lines += [self._compare(*better, *worse) for better, worse in zip(found, found[1:])]
        parts = ["the spread over seeds (Student's t)"] if len(self.seeds) > 1 else []
        if self.metric.startswith('accuracy/'):
            parts.append(f'the choice of the {self.images} images (binomial)')
        lines.append(f'± is 95 %, from {" and ".join(parts)}.' if parts else 'Chance is not known.')
        if len(self.seeds) == 1:
            lines.append('One seed says nothing of the spread between runs: give --seeds 3.')
        if self.seeds:
            lines.append('The order after a whole training can differ from the order after a short run.')
        return lines

    def _compare(self, name: str, value: np.ndarray, other: str, lower: np.ndarray) -> str:
        """Say whether the difference of two results is significant."""
        gap, margin = (value - lower).mean(), self.margin(value, lower)
        if not np.isfinite(margin):
            return f'{name} over {other}: {gap:+.2f}.'
        said = 'significant' if abs(gap) > margin else 'not significant'
        return f'{name} over {other}: {gap:+.2f} ± {margin:.2f}: {said}.'

    def correlations(self) -> list[str]:
        """Say how far the gain goes with what is known without a short run, of three teachers or more."""
        if not self.seeds or len(self.rows) < 3:
            return []
        gains = [self.gains(row).mean() for row in self.rows]
        known = {'own metric': [self.own(row) for row in self.rows]}
        known.update({f'CKA gap at {stage}': self.gaps(stage) for stage in self.stages})
        values = {name: rank_correlation(value, gains) for name, value in known.items()}
        said = ', '.join(f'{name} {value:+.2f}' for name, value in values.items() if np.isfinite(value))
        # of 4 teachers each order has a chance of 1 in 24, so 1 or -1 comes up once in 12
        few = ' Of fewer than 5, chance alone may give even 1 or -1.' if len(gains) < 5 else ''
        return [f'Rank correlation with the gain, of {len(gains)} teachers: {said}.{few}'] if said else []

    def untrained(self) -> list[str]:
        """Say whose weights were never trained."""
        rows = [row for row in (self.student, *self.rows) if row.metrics is None]
        return [
            f'{row.label}: no checkpoint, random weights as it starts from (seed 0); its CKA says little of '
            'a trained one.'
            for row in rows
        ]
