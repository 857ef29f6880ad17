"""The order that rank_teachers.py finds, and how sure it is."""

from dataclasses import dataclass
from typing import List, Optional, Sequence

import numpy as np

from dpk_mm.analysis.ranking.rows import Row
from dpk_mm.analysis.stats import rank_correlation
from dpk_mm.utils import cli

# What a ranking goes by, best first, where the evaluator reports one of these; otherwise its first number.
_METRICS = ('accuracy/top1', 'coco/bbox_mAP', 'coco/segm_mAP', 'pascal_voc/mAP')
# Quantiles of Student's t for 95% of both sides, by degrees of freedom from 1 on; then 1.96 + 2.5 / dof.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
_SHOWN = 'All other columns are shown, not used.'
_UNRANKED = f'Ranked by their own metric alone. {_SHOWN}'


@dataclass
class Ranking:
    """Candidates, best first."""

    metric: str  # what they are compared by
    images: int  # of the sample
    student: Row
    rows: List[Row]
    seeds: List[str]  # of the probes; empty without
    untrained: Sequence[str] = ()  # labels of models without a checkpoint

    def __post_init__(self) -> None:
        """Put the best first."""
        key = (lambda row: np.mean(self.gains(row))) if self.seeds else self.own
        self.rows = sorted(self.rows, key=lambda row: -np.nan_to_num(key(row), nan=-np.inf))

    @property
    def digits(self) -> int:
        """Decimals to show of the metric: accuracies are percentages, most others are shares."""
        return 2 if self.metric.startswith('accuracy/') else 3

    @property
    def stages(self) -> List[str]:
        """The stages that some candidate was compared at."""
        return list(dict.fromkeys(stage for row in self.rows for stage in row.gap))

    def gaps(self, stage: str) -> np.ndarray:
        """(rows,) gaps at a stage; NaN where there is none."""
        return np.array([row.gap.get(stage, np.nan) for row in self.rows], dtype=float)

    def own(self, row: Row) -> float:
        """A model's own metric; 0 where it found nothing at all."""
        return row.metrics.get(self.metric, float('nan') if row.metrics else 0.0)

    def taught(self, row: Row) -> np.ndarray:
        """(seeds,) metrics of the student after a probe; 0 where it found nothing at all."""
        return np.array([row.taught[seed].get(self.metric, 0.0) for seed in self.seeds])

    def gains(self, row: Row) -> np.ndarray:
        """(seeds,) what it has more than alone."""
        return self.taught(row) - self.taught(self.student)

    def sample_error(self, *values: float) -> float:
        """Standard error that a difference of metrics (or one metric) has from the choice of images.

        Binomial, for accuracies in percent, as if each had images of its own: on the same images the error of
        a difference is smaller. NaN for other metrics, which have no such formula.
        """
        if not self.metric.startswith('accuracy/'):
            return float('nan')
        shares = np.clip(np.array(values) / 100, 0, 1)
        return float(100 * np.sqrt((shares * (1 - shares)).sum() / self.images))

    def margin(self, first: np.ndarray, second: np.ndarray) -> float:
        """Half of the 95% interval of the mean of ``first - second``, (seeds,) each; NaN if unknown."""
        sample, seeds = 1.96 * self.sample_error(first.mean(), second.mean()), len(first)
        if seeds < 2:
            return sample
        t = _T95[seeds - 2] if seeds - 2 < len(_T95) else 1.96 + 2.5 / (seeds - 1)
        return float(np.hypot(t * (first - second).std(ddof=1) / np.sqrt(seeds), np.nan_to_num(sample)))


def pick_metric(rows: Sequence[Row], asked: Optional[str]) -> str:
    """The metric to rank by."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    if asked is not None and asked not in names:
        cli.die(f'--metric {asked}: the evaluator reports {", ".join(names) or "nothing"}')
    if not names:
        cli.die('the evaluator reports no number of any teacher')
    return asked or next((name for name in _METRICS if name in names), names[0])


def verdict(ranking: Ranking) -> List[str]:
    """Say in plain sentences what the order is by, and how sure it is."""
    if ranking.seeds:
        seeds = f'seed{"s" * (len(ranking.seeds) > 1)} {", ".join(ranking.seeds)}'
        steps = ranking.student.probe['steps']
        lines = [f"Ranked by the student's gain after {steps} steps over as many alone ({seeds}). {_SHOWN}"]
        found = [(row.label, ranking.taught(row)) for row in ranking.rows]
        pairs = [(found[0], ('the student alone', ranking.taught(ranking.student)))]
    else:
        unknown = 'Whether the better teacher makes the better student was not measured: --probe does it.'
        lines = [_UNRANKED, unknown]
        found = [(row.label, np.array([ranking.own(row)])) for row in ranking.rows]
        pairs = []
    pairs += zip(found, found[1:])
    return [*lines, *(_compare(ranking, *better, *worse) for better, worse in pairs), _caveat(ranking)]


def _compare(ranking: Ranking, name: str, value: np.ndarray, other: str, lower: np.ndarray) -> str:
    """Say whether two results can be told apart."""
    gap, margin, digits = (value - lower).mean(), ranking.margin(value, lower), ranking.digits
    if not np.isfinite(margin):
        return f'{name} over {other}: {gap:+.{digits}f}; how much of it is chance is not known.'
    told = 'can be told apart' if abs(gap) > margin else 'cannot be told apart'
    return f'{name} over {other}: {gap:+.{digits}f} ± {margin:.{digits}f}: {told}.'


def _caveat(ranking: Ranking) -> str:
    """Say what the margins are, and what they leave out."""
    error = f'the choice of the {ranking.images} images (binomial)'
    has_error = np.isfinite(ranking.sample_error(50.0))
    short = 'A probe is a short run: the order after a whole one can differ.'
    if len(ranking.seeds) > 1:
        error = f' and {error}' if has_error else ' alone; that of the images is not known'
        return f"± is 95%, from the spread over seeds (Student's t){error}. {short}"
    known = f'± is 95%, from {error} alone' if has_error else 'This metric has no simple standard error'
    if not ranking.seeds:
        return f'{known}.'
    return f'{known}; one seed says nothing of the spread between runs (--seeds 0 1 2). {short}'


def correlations(ranking: Ranking) -> List[str]:
    """Say how far the gain goes with what is known without a probe, where there are three teachers."""
    if not ranking.seeds or len(ranking.rows) < 3:
        return []
    gains = [ranking.gains(row).mean() for row in ranking.rows]
    known = {'own metric': [ranking.own(row) for row in ranking.rows]}
    known.update({f'CKA gap at {stage}': ranking.gaps(stage) for stage in ranking.stages})
    values = {name: rank_correlation(value, gains) for name, value in known.items()}
    parts = ', '.join(f'{name} {value:+.2f}' for name, value in values.items() if np.isfinite(value))
    # of 4 teachers each order has a chance of 1 in 24, so 1 or -1 comes up once in 12
    few = ' Of fewer than 5, chance alone may give even 1 or -1.' if len(gains) < 5 else ''
    return [f'Rank correlation with the gain, of {len(gains)} teachers: {parts}.{few}'] if parts else []


def random_ones(ranking: Ranking) -> List[str]:
    """Say whose weights were never trained."""
    notes = [f'{label}: no checkpoint, random weights as it starts from' for label in ranking.untrained]
    return [f'{note} (seed 0); its CKA says little of a trained one.' for note in notes]
