"""One style for all pictures."""

import re
from collections.abc import Sequence
from typing import Any

# Colour-blind readers tell these apart (Okabe and Ito).
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')


def stage_colours(stages: Sequence[str]) -> dict[str, str]:
    """A colour for each stage, the same in all pictures.

    Args:
        stages (Sequence[str]): Names. A number at their end, as of ``p4``, ``layer4`` or ``neck[1]``, chooses
            the colour, where all have one of their own; else their order does.

    Returns:
        dict[str, str]: Name -> colour.
    """
    numbers = [int(found[0]) for stage in stages if (found := re.findall(r'\d+', stage)[-1:])]
    if len(set(numbers)) != len(stages):
        numbers = range(len(stages))
    return {stage: COLOURS[number % len(COLOURS)] for stage, number in zip(stages, numbers)}


def new_figure(width: float, height: float) -> Any:
    """Make an empty figure, whose parts place themselves.

    Args:
        width (float): In inches.
        height (float): In inches.

    Returns:
        matplotlib.figure.Figure: The figure; ``savefig`` needs no window system.
    """
    from matplotlib.figure import Figure  # takes a second

    return Figure(figsize=(width, height), dpi=130, layout='constrained')


def set_style(axes: Any, hide: tuple = ('top', 'right'), grid: str = 'both') -> None:
    """Give axes the style of all our pictures.

    Args:
        axes (matplotlib.axes.Axes): The axes.
        hide (tuple[str]): Sides without a line. Defaults to ``('top', 'right')``.
        grid (str): ``'x'``, ``'y'`` or ``'both'``, along which grid lines stand. Defaults to ``'both'``.
    """
    axes.spines[list(hide)].set_visible(False)
    axes.grid(axis=grid, alpha=0.25)
