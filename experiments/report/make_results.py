"""Fill the tables of the result pages from the files in experiments/, and check what their prose states.

A page, README.md, docs/results/*.md, docs/scaling.md, docs/methods.md or docs/pairs.md, is written by hand.
Between `<!-- table: NAME -->` and `<!-- end -->` stands a table of tables.py. The figures in its prose are typed;
assertions.py says which rows they are of. Also writes claims.png, recipe.png and, once there are runs, cifar100_trend.png in
docs/results, and the table.md beside each study.
"""

import argparse
import re
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import assertions
import tables
import trend
import verdicts
from PIL import Image
from study import EXPERIMENTS, Study

from dpk_mm.compare.verdict import FAILED, HELD
from dpk_mm.utils import cli

ROOT = EXPERIMENTS.parent
PICTURE = ROOT / 'docs/results/claims.png'
TREND = ROOT / 'docs/results/cifar100_trend.png'
RECIPE = ROOT / 'docs/results/recipe.png'
_TABLE = re.compile(r'(<!-- table: (.+?) -->\n).*?(<!-- end -->)', re.DOTALL)


def fill(text: str, made: Mapping[str, Callable[[], str]]) -> str:
    """Set the tables into a page.

    Args:
        text (str): The page; what stands between its marks is replaced.
        made (dict): Name of a table -> what makes it.

    Raises:
        KeyError: There is no table of that name.
    """
    return _TABLE.sub(lambda mark: f'{mark[1]}\n{made[mark[2]]()}\n\n{mark[3]}', text)


def render() -> Dict[Path, str]:
    """Every file with tables -> what should stand in it.

    Raises:
        KeyError: A page asks for a table that there is not.
        ValueError: A table is on no page.
    """
    made = tables.make_all()
    others = [ROOT / name for name in ('README.md', 'docs/scaling.md', 'docs/methods.md', 'docs/pairs.md')]
    pages = [*sorted((ROOT / 'docs/results').glob('*.md')), *others]
    texts = {page: page.read_text(encoding='utf-8') for page in pages}
    shown = {mark[2] for text in texts.values() for mark in _TABLE.finditer(text)}
    if lost := sorted(set(made) - shown):
        raise ValueError(f'no page has <!-- table: {lost[0]} -->')
    written = {page: fill(text, made) for page, text in texts.items()}
    written.update(
        (file, Study(file.parent).table() + '\n') for file in sorted(EXPERIMENTS.glob('*/table.md'))
    )
    return written


def check_prose(
    said: Mapping[Tuple[str, str], Iterable[Sequence]], root: Path = ROOT, experiments: Path = EXPERIMENTS
) -> List[str]:
    """Hold pages to the runs.

    Args:
        said (dict): As ``assertions.SAID``.
        root (Path): Of the pages. Defaults to the repository.
        experiments (Path): Of the studies. Defaults to ``experiments/``.

    Returns:
        list[str]: One line for each sentence that the runs do not bear out or that its page does not have, and for
        each mean with a standard deviation that is in no sentence.
    """
    faults, rest = [], {}
    for (page, name), sentences in said.items():
        # without the tables, in one line
        text = ' '.join(_TABLE.sub('', (root / page).read_text(encoding='utf-8')).split())
        rest.setdefault(page, text)
        folder, _, file = name.partition('/')
        runs = Study(experiments / folder, file or 'results.csv')
        for sentence, *facts in sentences:
            try:
                wanted = sentence.format(*(figure for fact in facts if (figure := fact(runs)) is not None))
            except (KeyError, ValueError, IndexError) as error:
                faults.append(f'{page} says "{sentence}", but {error.args[0]}')
                continue
            if wanted not in text:
                faults.append(f'{page} does not say "{wanted}"')
            rest[page] = rest[page].replace(wanted, '')
    for page, text in rest.items():
        found = re.findall(r'[-+\d.]+ ± [\d.]*\d', text)
        faults += [f'{page} says "{figure}", which is in no sentence of assertions.py' for figure in found]
    return faults


def check_claims() -> List[str]:
    """One line for each verdict that is not the one of ``assertions.CLAIMS``."""
    return [
        f'{PICTURE.relative_to(ROOT)}: "{claim}" on {on} is said to be {said!r}, but is {verdict.words!r}: {verdict}'
        for claim, _, found in tables.claims()
        for on, verdict, said in found
        if said != verdict.words
    ]


def find_stale() -> List[str]:
    """One line for each page, table or picture that is not what the files give."""
    stale = [page for page, text in render().items() if page.read_text(encoding='utf-8') != text]
    shown = {
        PICTURE: verdicts.describe(tables.claims()),
        RECIPE: verdicts.describe(tables.recipe()),
    }
    if found := trend.read_trend():
        shown[TREND] = trend.describe(found)
    stale += [path for path, text in shown.items() if not path.exists() or _description(path) != text]
    command = 'run python experiments/report/make_results.py'
    return [
        f'{page.relative_to(ROOT)} is not what the files in experiments/ give: {command}' for page in stale
    ]


def _description(path: Path) -> str:
    with Image.open(path) as picture:
        return picture.text['Description']


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        '--check', action='store_true', help='write nothing; fail where a page is not up to date'
    )
    args = parser.parse_args(argv)
    try:
        faults = [] if not args.check else find_stale()
        if not args.check:
            for page, text in render().items():
                page.write_text(text, encoding='utf-8')
            verdicts.plot(tables.claims(), PICTURE)
            verdicts.plot(tables.recipe(), RECIPE, {HELD: 'gains', FAILED: 'loses'})
            if found := trend.read_trend():
                trend.plot(found, TREND)
    except (KeyError, FileNotFoundError, ValueError) as error:
        cli.die(f'{type(error).__name__}: {error}')
    faults += [*check_claims(), *check_prose(assertions.SAID)]
    if faults:
        cli.die('\n'.join(faults))


if __name__ == '__main__':
    main()
