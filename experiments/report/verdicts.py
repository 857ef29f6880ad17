"""Whether what the papers claim held in our runs: the test behind it, and the picture."""

from pathlib import Path
from types import MappingProxyType
from typing import Dict, List, Mapping, NamedTuple, Sequence

from dpk_mm.compare.verdict import FAILED, HELD, UNKNOWN, Verdict
from dpk_mm.utils.plots import COLOURS, new_figure, set_style

_COLOURS = {HELD: COLOURS[2], FAILED: COLOURS[1], UNKNOWN: '#888888'}


class Finding(NamedTuple):
    """What one pair of methods says of a claim."""

    on: str  # the data, and what else tells it from the others
    verdict: Verdict
    said: str  # the words that are stated


class Claim(NamedTuple):
    """What a paper says, and what we found."""

    claim: str
    paper: str
    findings: List[Finding]


def plot(claims: Sequence[Claim], path: Path, words: Mapping[str, str] = MappingProxyType({})) -> None:
    """Draw the gains of all claims, with 95 % intervals and every seed.

    Args:
        claims (Sequence[Claim]): From top to bottom.
        path (Path): PNG to write. Its description says what it shows, so that it can be checked.
        words (dict): Words of a verdict -> what the legend says for them. Defaults to the words.
    """
    rows = sum(1 + len(claim.findings) for claim in claims)
    figure = new_figure(8, 1.1 + 0.27 * rows)
    axes = figure.subplots()
    beside = dict(transform=axes.get_yaxis_transform(), va='center')
    ticks: Dict[int, str] = {}
    place = 0
    for claim in claims:
        axes.text(0, place, claim.claim, fontsize=9, fontweight='bold', **beside)
        for on, verdict, _ in claim.findings:
            place += 1
            ticks[place] = on
            colour = _COLOURS[verdict.words]
            axes.plot(verdict.interval, [place, place], color=colour)
            axes.plot(verdict.mean, place, 'D', color=colour, markersize=5)
            # below, where the mean does not hide them
            axes.plot(verdict.gains, [place + 0.3] * len(verdict.gains), '.', color=colour, markersize=3)
            axes.text(1.01, place, str(verdict), fontsize=8, color=colour, **beside)
        place += 1
    for verdict, colour in _COLOURS.items():
        axes.plot([], [], 'D-', color=colour, label=words.get(verdict, verdict))
    axes.axvline(0, color='#333333', linewidth=0.8, zorder=0)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set(
        xlabel='points gained: each seed, mean, 95 % interval (of three seeds or more)',
        ylim=(place - 0.4, -0.7),
    )
    axes.tick_params(axis='y', length=0)
    set_style(axes, hide=('top', 'right', 'left'), grid='x')
    figure.legend(loc='outside upper right', ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, metadata=dict(Description=describe(claims)))


def describe(claims: Sequence[Claim]) -> str:
    """Say in text what :func:`plot` draws."""
    return '\n'.join(
        f'{claim.claim} | {on} | {verdict.words}: {verdict}'
        for claim in claims
        for on, verdict, _ in claim.findings
    )
