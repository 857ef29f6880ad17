"""Run what is too long for the tests: kills, hostile files, full disks, dead ranks, long runs, costs.

Each campaign is a module with `N` and `run(seed, n)`, which returns figures. They are printed and written
into docs/reliability.md. Whole numbers of several turns add up; of other numbers the largest counts.

Turns add up: `kills --n 10 --seed 1` and `kills --n 10 --seed 2` give the figures of 20 kills. `--fresh`
forgets the turns before.
"""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(1, str(HERE.parent))  # for tiny.py and tiny_cls.py
PAGE, KEPT = ROOT / 'docs/reliability.md', ROOT / 'work_dirs/campaign'
BEGIN, END = '<!-- campaign: begin -->', '<!-- campaign: end -->'
NAMES = [module.name for module in pkgutil.iter_modules([str(HERE)])]
NAMES = [name for name in NAMES if name not in ('__main__', 'processes')]


def machine():
    names = [line.partition(':')[2] for line in open('/proc/cpuinfo') if line.startswith('model name')]
    return f'{names[0].strip() if names else platform.machine()}, {os.cpu_count()} cores, {platform.system()}'


def add_up(turns):
    """Figures of all turns: whole numbers add up, of others the largest counts."""
    figures = {}
    for turn in turns:
        for key, value in turn['figures'].items():
            known = figures.get(key, type(value)())
            figures[key] = known + value if isinstance(value, int) else max(known, value)
    return figures


def table(kept, page):
    """One line a campaign, as Markdown; of those that were run elsewhere the page's own line."""
    lines = ['| campaign | figures | command, date, machine |', '|---|---|---|']
    ours = tuple(f'| {name} ' for name in kept)
    lines += [line for line in page.splitlines()[2:] if line.startswith('| ') and not line.startswith(ours)]
    for name, turns in kept.items():
        figures = ', '.join(
            f'{key} {value:,}' if isinstance(value, int) else f'{key} {value:.2f}'
            for key, value in add_up(turns).items()
        )
        how = '; '.join(f'`--n {turn["n"]} --seed {turn["seed"]}`' for turn in turns)
        about = f'`python tests/campaign {name}` {how}; {turns[-1]["date"]}; {turns[-1]["machine"]}'
        lines.append(f'| {name} | {figures} | {about} |')
    return '\n'.join(lines)


def main():
    parser = argparse.ArgumentParser(prog='python tests/campaign', description=__doc__)
    parser.add_argument('name', choices=NAMES)
    parser.add_argument('--n', type=int, help='how many (default: of the campaign)')
    parser.add_argument('--seed', type=int, default=0, help='of what is random (default: 0)')
    parser.add_argument(
        '--seconds', type=float, help='begin nothing new after these, and count what was done'
    )
    parser.add_argument('--fresh', action='store_true', help='forget the turns before')
    args = parser.parse_args()
    module = importlib.import_module(args.name)
    n = args.n or module.N
    if args.seconds:
        importlib.import_module('processes').DEADLINE = time.monotonic() + args.seconds
    start = time.time()
    figures = module.run(args.seed, n)
    print(f'{args.name}: {figures} in {time.time() - start:.0f} s')
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f'{args.name}.json'
    turns = json.loads(path.read_text()) if path.exists() and not args.fresh else []
    turns = [turn for turn in turns if turn['seed'] != args.seed]
    turns.append(
        dict(seed=args.seed, n=n, figures=figures, date=time.strftime('%Y-%m-%d'), machine=machine())
    )
    path.write_text(json.dumps(turns, indent=1))
    kept = {
        one: json.loads((KEPT / f'{one}.json').read_text())
        for one in NAMES
        if (KEPT / f'{one}.json').exists()
    }
    head, _, rest = PAGE.read_text(encoding='utf-8').partition(BEGIN)
    old, _, tail = rest.partition(END)
    PAGE.write_text(f'{head}{BEGIN}\n{table(kept, old.strip())}\n{END}{tail}', encoding='utf-8')


if __name__ == '__main__':
    main()
