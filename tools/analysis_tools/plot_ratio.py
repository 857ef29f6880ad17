"""Draw how the share of teacher tokens changes over training, from the logs of one or more runs."""

import argparse
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from dpk_mm.utils import cli, read_ratios
from dpk_mm.utils.plots import new_figure, set_style, stage_colours
from dpk_mm.utils.ratio_log import Curves

_STYLES = ('-', '--', ':', '-.')


def plot(runs: Dict[str, List[Curves]], path: Path) -> None:
    """Draw one line for each label and stage: the running mean of its runs, with a band from least to most.

    Args:
        runs (dict): Label -> its runs, such as seeds of one config.
        path (Path): Picture to write.
    """
    colours = stage_colours(sorted({stage for curves in runs.values() for run in curves for stage in run}))
    figure = new_figure(7, 4)
    axes = figure.subplots()
    for (label, curves), style in zip(runs.items(), _STYLES * len(runs)):
        for stage, colour in colours.items():
            found = [run[stage] for run in curves if stage in run]
            if not found:
                continue
            steps = sorted(set.intersection(*(set(run) for run in found)))
            values = np.array([[run[step] for step in steps] for run in found])
            name = f'{label}, {stage}' if len(runs) > 1 else stage
            # a ratio is of one batch, so it jumps: the steps themselves are faint
            axes.plot(steps, values.mean(0), color=colour, alpha=0.25, linewidth=0.8)
            axes.plot(_smooth(steps), _smooth(values.mean(0)), style, color=colour, label=name, linewidth=1.8)
            axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel='step', ylabel='prior ratio: share of teacher tokens', ylim=(0, 1))
    axes.set_title(
        'How much the teacher helps: less as the student comes closer.\n'
        'Flat lines are floor or cap of the prior.',
        fontsize=9,
    )
    set_style(axes)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def _smooth(values: Sequence[float]) -> np.ndarray:
    """Average over fifteen neighbours; over fewer where there are few values."""
    window = max(1, min(15, len(values) // 5))
    return np.convolve(values, np.ones(window) / window, 'valid')


def parse_run(text: str) -> Tuple[str, Path]:
    """Split ``LABEL=FOLDER``; a folder alone is its own label."""
    label, is_labelled, folder = text.partition('=')
    return (label, Path(folder)) if is_labelled and not Path(text).exists() else (Path(text).name, Path(text))


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Read the runs and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'runs', nargs='+', metavar='[LABEL=]FOLDER', help='work directories; those of one label are averaged'
    )
    parser.add_argument('--out', type=cli.picture, default=Path('ratio.png'), help='picture to write')
    args = parser.parse_args(argv)
    runs: Dict[str, List[Curves]] = {}
    for label, folder in map(parse_run, args.runs):
        runs.setdefault(label, []).append(read_ratios(folder))
    plot(runs, args.out)
    for label, curves in runs.items():
        for stage in curves[0]:
            first, last = (
                np.mean([run[stage][pick(run[stage])] for run in curves if stage in run])
                for pick in (min, max)
            )
            print(f'{label}, {stage}: {first:.2f} -> {last:.2f}')
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
