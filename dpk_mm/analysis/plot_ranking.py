"""The picture of a ranking of teachers."""

from typing import Any

import numpy as np

from dpk_mm.analysis.ranking import Ranking
from dpk_mm.utils.plots import COLOURS, new_figure, set_style, stage_colours


def draw_ranking(ranking: Ranking) -> Any:
    """Draw what was measured, teachers from best (top) to worst.

    Args:
        ranking (Ranking): The teachers.

    Returns:
        matplotlib.figure.Figure: The picture.
    """
    rows, places = ranking.rows, np.arange(len(ranking.rows))
    panels = 4 if ranking.seeds else 3
    figure = new_figure(2 + 2.6 * panels, 1.5 + 0.45 * len(rows))
    metric, gap, cost, *gain = axes = figure.subplots(1, panels, sharey=True)
    own = [ranking.own(row) for row in rows]
    error = np.nan_to_num([ranking.image_margin(value) for value in own])
    metric.errorbar(own, places, xerr=error, fmt='o', color=COLOURS[0], capsize=3)
    metric.set(xlabel=ranking.metric, ylim=(len(rows) - 0.5, -0.5))
    metric.set_yticks(places, [row.label for row in rows])
    for stage, colour in stage_colours(ranking.stages).items():
        gap.plot(ranking.gaps(stage), places, 'o', color=colour, label=stage)
    # an unbiased CKA can be a little below 0
    gap.set(xlabel='gap to the student: 1 - CKA', xlim=(0, max(1, gap.get_xlim()[1])))
    gap.legend(frameon=False, fontsize=8, loc='lower center', bbox_to_anchor=(0.5, 1.0), ncols=1)
    cost.plot([row.cost for row in rows], places, 'o', color=COLOURS[2])
    cost.set(xlabel="forward / student's step", xlim=(0, 1.1 * max(row.cost for row in rows)))
    if gain:
        _draw_gains(gain[0], ranking)
    for one in axes:
        set_style(one, hide=('top', 'right', 'left'), grid='x')
        one.tick_params(axis='y', length=0)
    return figure


def _draw_gains(axes: Any, ranking: Ranking) -> None:
    """Draw what the student gained: every seed, and the mean with its 95 % interval."""
    for place, row in enumerate(ranking.rows):
        gains = ranking.gains(row)
        margin = np.nan_to_num(ranking.margin(ranking.after(row), ranking.after(ranking.student)))
        axes.plot(gains, [place] * len(gains), 'o', alpha=0.5, markersize=4, color=COLOURS[3])
        axes.errorbar(gains.mean(), place, xerr=margin, fmt='D', capsize=3, color=COLOURS[3])
    axes.axvline(0, color='#999999', linewidth=0.8)
    # two seeds can give bars that are many times as long as the gains differ: those leave the frame
    gains = np.array([0.0, *(gain for row in ranking.rows for gain in ranking.gains(row))])
    pad = 0.6 * np.ptp(gains) or 1.0
    axes.set(xlabel=f'gain after {ranking.steps} steps, 95 %', xlim=(gains.min() - pad, gains.max() + pad))
