"""Run a core of the tests in fresh environments, and write the table of docs/compatibility.md.

    python tests/matrix.py                            # all rows, one after the other: two hours
    python tests/matrix.py --only '3.12 2.6.0 onedl'  # one row (repeatable)
    python tests/matrix.py --list

Needs uv (on PATH, or the one in .uv that set-up fetched), a compiler, and the Pythons with their headers.
Each environment is made by tools/setup.sh in work_dirs/matrix/, with mmcv compiled for its torch, and removed
afterwards. Only rows that were run change in the table.
"""

import argparse
import datetime
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs/compatibility.md'
WORK_DIR = ROOT / 'work_dirs/matrix'
HEAD = '| Python | torch | stack | date | result | versions |\n| --- | --- | --- | --- | --- | --- |\n'

# What a version of Python, torch or OpenMMLab's packages can break: loading, building, training, stock tools.
CORE = """
    tests/test_utils tests/test_models/test_teachers tests/test_models/test_necks
    tests/test_detector_configs.py tests/test_classifier_configs.py
    tests/test_training/test_promises.py tests/test_training/test_three_lines.py
""".split()

STACKS = {'upstream': 'upstream det cls seg', 'onedl': 'onedl onedl-det onedl-cls onedl-seg'}
# Each Python and each torch that a stack takes, in a row at least, and an older torch, which is not claimed.
# Upstream's mmcv does not build on Python 3.13. 'locked' is the torch of requirements/build.txt, with every
# other version of the lock file, too.
ROWS = [
    ('3.10', '2.1.2', 'upstream'),
    ('3.12', '2.6.0', 'upstream'),
    ('3.10', '2.8.0', 'upstream'),
    ('3.11', 'locked', 'upstream'),
    ('3.12', 'newest', 'upstream'),
    ('3.10', '2.8.0', 'onedl'),
    ('3.12', '2.6.0', 'onedl'),
    ('3.13', '2.8.0', 'onedl'),
    ('3.11', 'locked', 'onedl'),
    ('3.11', 'newest', 'onedl'),
]


def run(row: tuple[str, str, str]) -> list[str]:
    """Make the environment of a row and run the core of the tests in it.

    Returns:
        list[str]: The cells of the row of the table.
    """
    folder = WORK_DIR / '-'.join(row)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        result, versions = _try(row, folder)
    finally:
        shutil.rmtree(folder / 'venv', ignore_errors=True)
    return [*row, f'{datetime.date.today()}', result, versions]


def _try(row: tuple[str, str, str], folder: Path) -> tuple[str, str]:
    python, torch, stack = row
    inside = folder / 'venv/bin/python'
    try:
        env = dict(PYTHON=python, STACK=stack, VENV=folder / 'venv', LOCK=_lock(python, torch, stack, folder))
        _call('bash', 'tools/setup.sh', log=folder / 'setup.log', **env)
        result = _last_line(_call(inside, '-m', 'pytest', '-q', '-n', '0', *CORE, log=folder / 'tests.log'))
    except RuntimeError as error:
        result = str(error)
    versions = {}
    if inside.exists():
        for line in _call(_uv(), 'pip', 'freeze', '--python', inside, log=folder / 'freeze.log').splitlines():
            name, _, version = line.partition('==')
            versions[name.removeprefix('onedl-')] = version
    shown = ('torch', 'torchvision', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmdetection', 'mmpretrain')
    return result, ', '.join(f'{name} {versions[name]}' for name in shown if name in versions)


def _lock(python: str, torch: str, stack: str, folder: Path) -> Path:
    """The list of packages of a row."""
    if torch == 'locked':
        return ROOT / f'requirements/lock{"" if stack == "upstream" else "-onedl"}.txt'
    pins = ['torch' if torch == 'newest' else f'torch=={torch}', 'torchvision']
    if torch != 'newest' and _number(torch) < (2, 3):
        pins.append('numpy<2')  # what this torch was compiled with
    build = (ROOT / 'requirements/build.txt').read_text().splitlines()
    pins += [line for line in build if not re.match(r'torch|#', line)]
    (folder / 'build.txt').write_text('\n'.join(pins) + '\n')
    files = [f'requirements/{name}.txt' for name in ('runtime', 'demo', 'tests', *STACKS[stack].split())]
    command = [
        _uv(),
        'pip',
        'compile',
        '--quiet',
        '--no-annotate',
        '--python-version',
        python,
        folder / 'build.txt',
    ]
    _call(*command, *files, '--output-file', folder / 'lock.txt', log=folder / 'lock.log')
    return folder / 'lock.txt'


def _uv() -> str:
    own = ROOT / '.uv/bin/uv'
    return str(own) if own.exists() else 'uv'


def _call(*command: object, log: Path, **env: object) -> str:
    """What a command says, which stays in a log; RuntimeError with its last line where it fails."""
    with log.open('w') as file:
        done = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env=os.environ | {name: str(value) for name, value in env.items()},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    output = log.read_text()
    if done.returncode:
        raise RuntimeError(_last_line(output))
    return output


def _last_line(output: str) -> str:
    """How it ended, in one line; without the seconds, which differ each time."""
    lines = [line.strip('= ') for line in output.splitlines() if line.strip()]
    last = re.sub(r' in [\d.]+s.*', '', lines[-1]) if lines else 'no output'
    return last.replace('|', '/').replace(str(ROOT), '.')[:200]


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split('.')))


def read_table(page: str) -> dict[tuple[str, str, str], list[str]]:
    """The cells of each row that the page has, by (Python, torch, stack)."""
    table = page[page.index(HEAD) + len(HEAD) :].split('\n\n')[0]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in table.strip().splitlines()]
    return {tuple(row[:3]): row for row in cells}


def write_table(page: str, found: dict[tuple[str, str, str], list[str]]) -> str:
    """The page with these rows in its table; the rest of them stays, or says that it was not run."""
    start = page.index(HEAD) + len(HEAD)
    known = read_table(page) | found
    lines = [' | '.join(known.get(row, [*row, '', 'not run', ''])) for row in ROWS]
    rest = page[start:].partition('\n\n')
    return page[:start] + '\n'.join(f'| {line} |' for line in lines) + ''.join(rest[1:] or ('\n',))


def main() -> None:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--only', action='append', metavar="'PYTHON TORCH STACK'", help='a row; repeatable')
    parser.add_argument('--list', action='store_true', help='print the rows and stop')
    args = parser.parse_args()
    wanted = [tuple(text.split()) for text in args.only or ()] or ROWS
    if unknown := [row for row in wanted if row not in ROWS]:
        parser.error(f'--only {" ".join(unknown[0])!r} is no row; --list prints them')
    for row in wanted:
        if args.list:
            print(*row)
            continue
        cells = run(row)
        print(' | '.join(cells), flush=True)
        PAGE.write_text(write_table(PAGE.read_text(encoding='utf-8'), {row: cells}), encoding='utf-8')


if __name__ == '__main__':
    main()
