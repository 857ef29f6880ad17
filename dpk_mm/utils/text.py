"""Numbers and tables as text."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Optional

import numpy as np


def deviation(values: Sequence[float]) -> Optional[float]:
    """The sample standard deviation; None of one value, NaN where one is NaN."""
    # statistics.stdev refuses NaN, as of a test that gave no figure
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def spread(values: Sequence[float], form: str) -> str:
    """Write the mean, and the sample standard deviation where there are several values.

    Args:
        values (Sequence[float]): At least one.
        form (str): Format of a number; a ``+`` in it is for the mean alone.

    Returns:
        str: Such as ``'1.0 ± 0.2'``.
    """
    mean, sd = format(statistics.fmean(values), form), deviation(values)
    return mean if sd is None else f'{mean} ± {format(sd, form.lstrip("+"))}'


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], columns: str = '') -> str:
    """Write a Markdown table.

    Args:
        head (Sequence[str]): Titles of the columns.
        rows (Iterable[Sequence[str]]): Cells.
        columns (str): A letter for each column: l stands left, r right. Defaults to the first one left,
            the others right.

    Returns:
        str: The table.
    """
    lines = [head, *rows]
    texts = ['| ' + ' | '.join(line) + ' |' for line in lines]
    marks = ['---:' if side == 'r' else '---' for side in columns or 'l' + 'r' * (len(head) - 1)]
    return '\n'.join([texts[0], f'|{"|".join(marks)}|', *texts[1:]])


def count(number: int) -> str:
    """Write a number of parameters.

    Args:
        number (int): How many.

    Returns:
        str: Such as ``'1.56 M'``.
    """
    return f'{number / 1e6:.2f} M' if number >= 1e5 else f'{number / 1e3:.1f} k'
