"""What the prior gives over the length of a schedule, and what runs reach in their best epoch."""

from pathlib import Path
from typing import Dict, List

from study import EXPERIMENTS, Study, read_lines

from dpk_mm.compare.verdict import Verdict
from dpk_mm.utils.plots import COLOURS, new_figure, set_style
from dpk_mm.utils.text import markdown, spread

_LENGTHS = (1, 3, 10, 30)
_PRIOR, _NONE = 'dpk, cka', 'dpk, ratio 0'
Trend = Dict[int, Verdict]  # epochs -> what the prior gives


def read_trend(experiments: Path = EXPERIMENTS) -> Trend:
    """Compare DPK with and without its prior, in each length that was run with both.

    Args:
        experiments (Path): Folder of the studies. Defaults to ``experiments/``.
    """
    found = {}
    for length in _LENGTHS:
        study = Study(experiments / f'cifar100_{length}ep')
        if study.file.exists() and {_PRIOR, _NONE} <= set(study.results):
            found[length] = Verdict(study.gains(_PRIOR, _NONE))
    return found


def plot(trend: Trend, path: Path) -> None:
    """Draw the gains over the epochs, with 95 % intervals and every seed.

    Args:
        trend (dict): From :func:`read_trend`.
        path (Path): PNG to write. Its description says what it shows, so that it can be checked.
    """
    figure = new_figure(6, 3.6)
    axes = figure.subplots()
    axes.plot(list(trend), [verdict.mean for verdict in trend.values()], 'D-', color=COLOURS[0])
    for length, verdict in trend.items():
        axes.plot([length] * 2, verdict.interval, color=COLOURS[0])
        axes.plot([length] * len(verdict.gains), verdict.gains, '.', color=COLOURS[1])
    axes.axhline(0, color='#333333', linewidth=0.8, zorder=0)
    axes.set_xscale('log')
    axes.set_xticks(list(trend), [str(length) for length in trend], minor=False)
    axes.minorticks_off()
    axes.set(xlabel='epochs', ylabel=f'{_PRIOR} over {_NONE}, points:\neach seed, mean, 95 % interval')
    set_style(axes)
    figure.savefig(path, metadata=dict(Description=describe(trend)))


def describe(trend: Trend) -> str:
    """Say in text what :func:`plot` draws."""
    return '\n'.join(f'{length} epochs: {verdict}' for length, verdict in trend.items())


def best_epochs(folder: Path) -> str:
    """The table of last and best epochs, from ``epochs.csv`` of a study.

    Args:
        folder (Path): Of the study.
    """
    runs: Dict[str, Dict[str, List[float]]] = {}
    for line in read_lines(folder / 'epochs.csv'):
        runs.setdefault(line['method'], {}).setdefault(line['seed'], []).append(float(line['top1']))
    rows = []
    for method, seeds in runs.items():
        last, best = ([pick(reached) for reached in seeds.values()] for pick in (lambda all_: all_[-1], max))
        gained = [b - a for a, b in zip(last, best)]
        rows.append([method, spread(last, '.2f'), spread(best, '.2f'), spread(gained, '+.2f')])
    return markdown(['method', 'last epoch', 'best epoch', 'best over last'], rows)
