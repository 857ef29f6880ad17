"""How far the two forms of the dynamic prior agree: numbers, picture, CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dpk_mm.analysis.priors import Ratios
from dpk_mm.analysis.stats import rank_correlation
from dpk_mm.utils.plots import new_figure, set_style, stage_colours

_COLUMNS = ('checkpoint', 'stage', 'positions', 'positions_sd', 'images')


def agreement(ratios: Ratios) -> dict[str, float]:
    """Say how far the two forms agree.

    Returns:
        dict: What is ordered -> rank correlation of the two forms: over all, over the checkpoints of each
        stage, and over the stages of a checkpoint (the mean over checkpoints); those that are defined.
    """

    def of(values: Sequence[tuple[float, float, float]]) -> float:
        return rank_correlation([v[0] for v in values], [v[2] for v in values])

    labels, stages = (list(dict.fromkeys(key[i] for key in ratios)) for i in (0, 1))
    found = {f'over {len(ratios)} (stage, checkpoint)': of(list(ratios.values()))}
    found.update({f'over checkpoints, {stage}': of([ratios[lb, stage] for lb in labels]) for stage in stages})
    of_stages = [of([ratios[label, stage] for stage in stages]) for label in labels]
    found['over stages, mean of checkpoints'] = float(
        np.mean([r for r in of_stages if np.isfinite(r)] or np.nan)
    )
    return {what: value for what, value in found.items() if np.isfinite(value)}


def plot_forms(ratios: Ratios, batch_size: int, path: Path) -> None:
    """Draw each form over the checkpoints, and one against the other.

    Args:
        ratios (dict): As :func:`dpk_mm.analysis.priors.measure_ratios` gives them.
        batch_size (int): Named in the title.
        path (Path): Picture to write.
    """
    labels, stages = (list(dict.fromkeys(key[i] for key in ratios)) for i in (0, 1))
    figure = new_figure(11, 3.8)
    left, middle, right = figure.subplots(1, 3)
    steps = np.arange(len(labels))
    for stage, colour in stage_colours(stages).items():
        mean, sd, images = np.array([ratios[label, stage] for label in labels]).T
        left.plot(steps, mean, 'o-', color=colour, label=stage, linewidth=1.5, markersize=4)
        left.fill_between(steps, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
        middle.plot(steps, images, 'o-', color=colour, label=stage, linewidth=1.5, markersize=4)
        right.plot(images, mean, 'o', color=colour, label=stage, markersize=4)
    left.set_title(f'positions, {batch_size} images a batch', fontsize=10)
    left.set_ylabel('ratio before bounds: 1 - CKA')
    middle.set_title('images', fontsize=10)
    low = min(*left.get_ylim(), *middle.get_ylim())
    high = max(*left.get_ylim(), *middle.get_ylim())
    for axes in (left, middle):
        axes.set(xticks=steps, ylim=(low, high))
        axes.set_xticklabels(labels, rotation=30, ha='right', fontsize=8)
    right.plot([low, high], [low, high], color='#999999', linewidth=0.8, zorder=0)
    right.set(xlabel='by images', ylabel='by positions', xlim=(low, high), ylim=(low, high))
    right.set_title('one against the other', fontsize=10)
    for axes in (left, middle, right):
        set_style(axes)
    left.legend(frameon=False, fontsize=8)
    figure.suptitle(
        'Positions can stand in for images where both order the checkpoints alike.',
        fontsize=10,
    )
    figure.savefig(path)


def write_ratios(ratios: Ratios, path: Path) -> None:
    """Write one line for each checkpoint and stage."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(_COLUMNS)
        for key, values in ratios.items():
            writer.writerow([*key, *(f'{value:.4f}' for value in values)])
