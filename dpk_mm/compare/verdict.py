"""Whether one method beats another."""

import functools
import statistics
from collections.abc import Sequence
from typing import Any, Optional

from scipy import stats

from dpk_mm.utils.text import spread

HELD, FAILED, UNKNOWN = 'held', 'did not hold', 'not significant'


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
        if self.p is None or not self.p < 0.05:  # it is NaN where a run gave no figure
            return UNKNOWN
        return HELD if self.mean > 0 else FAILED

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the mean gain; twice the mean where there is no test."""
        if self._test is None:
            return self.mean, self.mean
        return tuple(self._test.confidence_interval(0.95))

    def __str__(self) -> str:
        said = f'{spread(self.gains, "+.2f")}, n = {len(self.gains)}'
        return said if self.p is None else f'{said}, p = {self.p:.2g}'
