"""Whether what the papers claim held in our runs: the test behind it, and the picture."""

import functools
import statistics
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from scipy import stats

from dpk_mm.utils.plots import COLOURS, new_figure, set_style
from dpk_mm.utils.text import spread

HELD, FAILED, UNKNOWN = 'held', 'did not hold', 'not significant'
_COLOURS = {HELD: COLOURS[2], FAILED: COLOURS[1], UNKNOWN: '#888888'}


class Verdict:
    """Whether a method beats another: a t-test of the gains paired by seed, 5 %, two-sided.

    There is no test of fewer than three seeds, nor where all seeds give the same gain; the words are then
    :data:`UNKNOWN`. Rounding makes so few figures of a short run agree more often than a t-test expects.

    Args:
        gains (Sequence[float]): In points, one a seed.
    """

    def __init__(self, gains: Sequence[float]) -> None:
        self.gains = list(gains)
        self.mean = statistics.fmean(gains)

    @functools.cached_property
    def _test(self) -> Optional[Any]:
        """SciPy's result; None where there is no test."""
        if len(self.gains) < 3 or len({round(gain, 6) for gain in self.gains}) == 1:
            return None
        return stats.ttest_1samp(self.gains, 0)

    @property
    def p(self) -> Optional[float]:
        """The p-value of the test; None where there is no test."""
        return None if self._test is None else float(self._test.pvalue)

    @property
    def words(self) -> str:
        """One of :data:`HELD`, :data:`FAILED`, :data:`UNKNOWN`."""
        if self.p is None or self.p >= 0.05:
            return UNKNOWN
        return HELD if self.mean > 0 else FAILED

    @property
    def interval(self) -> Tuple[float, float]:
        """The 95 % confidence interval of the mean gain; twice the mean where there is no test."""
        if self._test is None:
            return self.mean, self.mean
        return tuple(self._test.confidence_interval(0.95))

    def __str__(self) -> str:
        said = f'{spread(self.gains, "+.2f")}, n = {len(self.gains)}'
        return said if self.p is None else f'{said}, p = {self.p:.2g}'


class Finding(NamedTuple):
    """What one pair of methods says of a claim."""

    on: str  # the data, and what else tells it from the others
    verdict: Verdict
    said: str  # the words that are stated


class Claim(NamedTuple):
    """What a paper says, and what we found."""

    claim: str
    paper: str
    findings: List[Finding]


def plot(claims: Sequence[Claim], path: Path) -> None:
    """Draw the gains of all claims, with 95 % intervals and every seed.

    Args:
        claims (Sequence[Claim]): From top to bottom.
        path (Path): PNG to write. Its description says what it shows, so that it can be checked.
    """
    rows = sum(1 + len(claim.findings) for claim in claims)
    figure = new_figure(8, 1.1 + 0.27 * rows)
    axes = figure.subplots()
    beside = dict(transform=axes.get_yaxis_transform(), va='center')
    ticks: Dict[int, str] = {}
    place = 0
    for claim in claims:
        axes.text(0, place, claim.claim, fontsize=9, fontweight='bold', **beside)
        for on, verdict, _ in claim.findings:
            place += 1
            ticks[place] = on
            colour = _COLOURS[verdict.words]
            axes.plot(verdict.interval, [place, place], color=colour)
            axes.plot(verdict.mean, place, 'D', color=colour, markersize=5)
            # below, where the mean does not hide them
            axes.plot(verdict.gains, [place + 0.3] * len(verdict.gains), '.', color=colour, markersize=3)
            axes.text(1.01, place, str(verdict), fontsize=8, color=colour, **beside)
        place += 1
    for words, colour in _COLOURS.items():
        axes.plot([], [], 'D-', color=colour, label=words)
    axes.axvline(0, color='#333333', linewidth=0.8, zorder=0)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set(
        xlabel='points gained: each seed, mean, 95 % interval (of three seeds or more)',
        ylim=(place - 0.4, -0.7),
    )
    axes.tick_params(axis='y', length=0)
    set_style(axes, hide=('top', 'right', 'left'), grid='x')
    figure.legend(loc='outside upper right', ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, metadata=dict(Description=describe(claims)))


def describe(claims: Sequence[Claim]) -> str:
    """Say in text what :func:`plot` draws."""
    return '\n'.join(
        f'{claim.claim} | {on} | {verdict.words}: {verdict}'
        for claim in claims
        for on, verdict, _ in claim.findings
    )
