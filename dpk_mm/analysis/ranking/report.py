"""What rank_teachers.py writes: the table, as Markdown and CSV, and the picture."""

import csv
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import numpy as np

from dpk_mm.analysis.ranking.order import Ranking, correlations, random_ones, verdict
from dpk_mm.utils.plots import COLOURS, new_figure, set_style

# header, format, one value a teacher
Column = Tuple[str, str, Sequence[Any]]


def columns(ranking: Ranking) -> List[Column]:
    """The columns of the table."""
    rows, digits = ranking.rows, f'.{ranking.digits}f'
    found: List[Column] = [
        ('rank', 'd', range(1, len(rows) + 1)),
        ('teacher', 's', [row.label for row in rows]),
        (ranking.metric, digits, [ranking.own(row) for row in rows]),
        *((f'1 - CKA {stage}', '.2f', ranking.gaps(stage)) for stage in ranking.stages),
        ('parameters', ',', [row.params for row in rows]),
        ('forward / student step', '.2f', [row.cost for row in rows]),
    ]
    gains = np.array([ranking.gains(row) for row in rows])  # (rows, seeds)
    if ranking.seeds:
        found.append(('gain', f'+{digits}', gains.mean(axis=1)))
    if len(ranking.seeds) > 1:
        found.append(('gain sd', digits, gains.std(axis=1, ddof=1)))
        found += [(f'gain seed {seed}', f'+{digits}', gain) for seed, gain in zip(ranking.seeds, gains.T)]
    return found


def write_csv(ranking: Ranking, path: Path) -> None:
    """Write the table, in full precision."""
    header, _, values = zip(*columns(ranking))
    with path.open('w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows([header, *zip(*values)])


def to_markdown(ranking: Ranking) -> str:
    """The table, what the student has, and the verdict."""
    header, formats, values = zip(*columns(ranking))
    lines = [header, ['---' if name == 'teacher' else '---:' for name in header]]
    lines += [[format(cell, form) for cell, form in zip(cells, formats)] for cells in zip(*values)]
    table = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    student, digits = ranking.student, ranking.digits
    known = [f'{student.params:,} parameters']
    if student.metrics:
        known.append(f'{ranking.metric} {ranking.own(student):.{digits}f}')
    if ranking.seeds:
        alone = ', '.join(f'{value:.{digits}f}' for value in ranking.taught(student))
        known.append(f'after {student.probe["steps"]} steps alone {alone}')
    said = '\n'.join(
        f'- {line}' for line in [*verdict(ranking), *correlations(ranking), *random_ones(ranking)]
    )
    sample = f'Sample: {ranking.images} images.'
    return f'{table}\n\nStudent: {student.label}, {"; ".join(known)}. {sample}\n\n{said}\n'


def draw(ranking: Ranking) -> Any:
    """Draw what was measured, teachers from best (top) to worst.

    Returns:
        matplotlib.figure.Figure: The picture.
    """
    rows, places = ranking.rows, np.arange(len(ranking.rows))
    panels = 4 if ranking.seeds else 3
    figure = new_figure(2 + 2.6 * panels, 1.5 + 0.45 * len(rows))
    metric, gap, cost, *gain = axes = figure.subplots(1, panels, sharey=True)
    own = [ranking.own(row) for row in rows]
    error = np.nan_to_num([1.96 * ranking.sample_error(value) for value in own])
    metric.errorbar(own, places, xerr=error, fmt='o', color=COLOURS[0], capsize=3)
    metric.set(xlabel=ranking.metric, ylim=(len(rows) - 0.5, -0.5))
    metric.set_yticks(places, [row.label for row in rows])
    for stage, colour in zip(ranking.stages, COLOURS * len(ranking.stages)):
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
    """Draw what the student gained: every seed, and the mean with its 95% interval."""
    style = dict(color=COLOURS[3])
    for place, row in enumerate(ranking.rows):
        gains = ranking.gains(row)
        margin = np.nan_to_num(ranking.margin(ranking.taught(row), ranking.taught(ranking.student)))
        axes.plot(gains, [place] * len(gains), 'o', alpha=0.5, markersize=4, **style)
        axes.errorbar(gains.mean(), place, xerr=margin, fmt='D', capsize=3, **style)
    axes.axvline(0, color='#999999', linewidth=0.8)
    # two seeds can give bars that are many times as long as the gains differ: those leave the frame
    gains = np.array([0.0, *(gain for row in ranking.rows for gain in ranking.gains(row))])
    pad = 0.6 * np.ptp(gains) or 1.0
    steps = ranking.student.probe['steps']
    axes.set(xlabel=f'gain after {steps} steps, 95%', xlim=(gains.min() - pad, gains.max() + pad))
