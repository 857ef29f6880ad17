"""What the runs found, as a picture."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Dict, Optional

from dpk_mm.utils.plots import COLOURS, new_figure, set_style
from dpk_mm.utils.text import deviation, spread

_DOT, _MEAN = COLOURS[:2]


def plot(
    found: Dict[str, Dict[int, float]], metric: str, path: Path, baselines: Sequence[Optional[str]]
) -> None:
    """Draw mean, standard deviation and every seed of all methods, from top to bottom.

    Args:
        found (dict): Method -> seed -> value; methods without any are left out.
        metric (str): What the values are.
        path (Path): PNG to write.
        baselines (Sequence[str or None]): Methods whose means are drawn as lines across.
    """
    rows = {name: list(seeds.values()) for name, seeds in found.items() if seeds}
    many = any(len(own) > 1 for own in rows.values())
    figure = new_figure(7.5, 1.3 + 0.45 * len(rows))
    axes = figure.subplots()
    for place, own in enumerate(rows.values()):
        # the dots of one method stand a little apart, so that equal ones are seen
        heights = [place + 0.24 * (i - (len(own) - 1) / 2) / max(1, len(own) - 1) for i in range(len(own))]
        axes.plot(
            own, heights, 'o', color=_DOT, alpha=0.7, markersize=5, label='a seed' if place == 0 else None
        )
        mean = statistics.fmean(own)
        label = ('mean ± sd' if many else 'mean') if place == 0 else None
        axes.errorbar(
            mean, place, xerr=deviation(own), fmt='|', color=_MEAN, capsize=4, markersize=16, label=label
        )
        # beside the axes, where nothing is drawn over it
        where = axes.get_yaxis_transform()
        axes.text(1.01, place, spread(own, '.2f'), transform=where, va='center', fontsize=9, color=_MEAN)
    for name in dict.fromkeys(baselines):
        if name in rows:
            axes.axvline(statistics.fmean(rows[name]), color='#888888', linestyle=':', linewidth=1, zorder=0)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(xlabel=f'{metric} in percent', ylim=(len(rows) - 0.4, -0.6))
    axes.margins(x=0.08)
    set_style(axes, grid='x')
    figure.legend(
        *axes.get_legend_handles_labels(), loc='outside upper right', ncols=2, frameon=False, fontsize=8
    )
    figure.savefig(path)
