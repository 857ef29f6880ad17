"""Numbers and tables as text."""

import statistics
from collections.abc import Iterable, Sequence


def spread(values: Sequence[float], form: str) -> str:
    """Write the mean, and the sample standard deviation where there are several values.

    Args:
        values (Sequence[float]): At least one.
        form (str): Format of a number; a ``+`` in it is for the mean alone.

    Returns:
        str: Such as ``'1.0 ± 0.2'``.
    """
    mean = format(statistics.fmean(values), form)
    return mean if len(values) == 1 else f'{mean} ± {format(statistics.stdev(values), form.lstrip("+"))}'


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table.

    Args:
        head (Sequence[str]): Titles of the columns; the first column stands left, the others right.
        rows (Iterable[Sequence[str]]): Cells.

    Returns:
        str: The table.
    """
    lines = [head, *rows]
    texts = ['| ' + ' | '.join(line) + ' |' for line in lines]
    return '\n'.join([texts[0], '|---|' + '---:|' * (len(head) - 1), *texts[1:]])


def count(number: int) -> str:
    """Write a number of parameters.

    Args:
        number (int): How many.

    Returns:
        str: Such as ``'1.56 M'``.
    """
    return f'{number / 1e6:.2f} M' if number >= 1e5 else f'{number / 1e3:.1f} k'
