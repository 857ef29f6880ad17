"""Bring the repository's pages and pictures to the site, where they keep their paths, and so their links.

The page of classes is made of the files that register one.
"""

import re
from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).parents[2]
PAGES = (
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
    'docs/*.md',
    'docs/*.svg',
    'docs/results/*',
    'configs/**/README.md',
    'experiments/*/*.md',
    'experiments/*/*.png',
)

for pattern in PAGES:
    for path in sorted(ROOT.glob(pattern)):
        with mkdocs_gen_files.open(path.relative_to(ROOT).as_posix(), 'wb') as file:
            file.write(path.read_bytes())

PARTS = {
    'Distillers': 'models/distillers',
    'Teachers': 'models/teachers',
    'Necks': 'models/necks',
    'Priors': 'models/priors',
    'Losses': 'models/losses',
    'Networks of CIFAR-100': 'models/backbones',
    'Hooks': 'engine/hooks',
    'Optimizers': 'engine/optim',
    'Strategies': 'engine/strategies',
    'Data sets': 'datasets',
}

with mkdocs_gen_files.open('docs/api.md', 'w') as page:
    page.write('# Classes\n\nA config names them as `dpk_mm.NAME`.\n')
    for title, folder in PARTS.items():
        page.write(f'\n## {title}\n')
        for path in sorted((ROOT / 'dpk_mm' / folder).glob('*.py')):
            module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
            for name in re.findall(r'register_module\(.*\)\nclass (\w+)', path.read_text(encoding='utf-8')):
                page.write(f'\n::: {module}.{name}\n')
