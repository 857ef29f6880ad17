"""Draw what DPK does in a step, the picture of the README.

usage: python docs/site/draw_step.py   (writes docs/step.svg)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

STUDENT, TEACHER, GREY = '#4c72b0', '#dd8452', '#555555'
SIDE = 4
GAP = 5.2


def grid(axes: Axes, left: float, bottom: float, colours: Sequence[str], title: str) -> None:
    """A map of SIDE x SIDE tokens, with a title below."""
    for token, colour in enumerate(colours):
        row, column = divmod(token, SIDE)
        axes.add_patch(Rectangle((left + column, bottom + row), 0.9, 0.9, color=colour, lw=0))
    axes.text(left + SIDE / 2, bottom - 0.5, title, ha='center', va='top', fontsize=9)


def arrow(axes: Axes, start: Sequence[float], end: Sequence[float], **style: Any) -> None:
    """An arrow between two points."""
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle='-|>', mutation_scale=11, color=GREY, **style))


def main() -> None:
    """Write the picture."""
    # text stays text, so the file is small and can be searched
    matplotlib.rcParams.update(
        {'svg.fonttype': 'none', 'svg.hashsalt': 'dpk_mm', 'font.family': 'sans-serif'}
    )
    figure, axes = plt.subplots(figsize=(7.6, 4.2), layout='constrained')
    taught = np.random.default_rng(4).permutation(SIDE * SIDE) < 6
    tokens = SIDE * SIDE
    mixed, neck, predicted = SIDE + GAP, 2 * SIDE + GAP + 1.5, 3 * SIDE + GAP + 3.4
    grid(axes, 0, 6.6, [STUDENT] * tokens, "student's map")
    grid(axes, 0, 0, [TEACHER] * tokens, "teacher's map")
    grid(axes, mixed, 3.3, np.where(taught, TEACHER, STUDENT), 'hybrid map')
    grid(axes, predicted, 3.3, ['#eebfa2'] * tokens, "predicted teacher's map")
    arrow(axes, (SIDE + 0.2, 8.4), (mixed - 0.3, 6.4))
    axes.text(SIDE + 2.2, 8.6, 'the other tokens stay', fontsize=8, color=GREY)
    arrow(axes, (SIDE + 0.2, 2.2), (mixed - 0.3, 4.2))
    axes.text(
        SIDE + 2.4, 0.9, 'prior ratio, 1 - CKA:\nits share of the tokens', fontsize=8, color=GREY, va='center'
    )
    arrow(axes, (mixed + SIDE + 0.2, 5.25), (neck, 5.25))
    axes.add_patch(Rectangle((neck, 3.6), 4.2, 3.3, fill=False, ec=GREY, lw=1.2))
    axes.text(neck + 2.1, 5.25, 'feature-\nmixing\nneck', ha='center', va='center', fontsize=9)
    arrow(axes, (neck + 4.2, 5.25), (predicted - 0.2, 5.25))
    # the loss: from below the prediction to the teacher's map
    low, right = -1.9, predicted + SIDE / 2
    axes.plot([right, right], [1.9, low], color=GREY, lw=1, ls='--')
    axes.plot([right, SIDE / 2], [low, low], color=GREY, lw=1, ls='--')
    arrow(axes, (SIDE / 2, low), (SIDE / 2, -1.1), linestyle='--')
    axes.text(
        (right + SIDE / 2) / 2, low + 0.2, 'the loss compares them', ha='center', fontsize=8, color=GREY
    )
    axes.set(xlim=(-0.2, predicted + SIDE + 1), ylim=(-2.3, 10.8), aspect='equal')
    axes.axis('off')
    figure.savefig(Path(__file__).parents[1] / 'step.svg', metadata={'Date': None})


if __name__ == '__main__':
    main()
