"""Packaging of dpk_mm; the rest of the settings are in pyproject.toml.

torch is not imported here: the version is read from the file, and nothing is compiled.
"""

import ast
import shutil
from pathlib import Path
from typing import List

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Read ``__version__`` from dpk_mm/version.py without importing the package."""
    for node in ast.parse((ROOT / 'dpk_mm/version.py').read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '__version__':
            return ast.literal_eval(node.value)
    raise RuntimeError('dpk_mm/version.py does not set __version__')


def requirements(name: str) -> List[str]:
    """Read the ranges in requirements/<name>.txt."""
    lines = (ROOT / f'requirements/{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith('#')]


class BuildPyWithConfigs(build_py):
    """Ships configs/ and tools/ inside the wheel, as ``dpk_mm/.mim``.

    That is where ``dpk_mm::dpk/...`` is looked for. They are copied into the build only: an
    editable install reads the checkout's own folders, so there is never a second, stale copy.
    """

    def run(self) -> None:
        """Build the package, then add the folders."""
        if self.editable_mode:
            return super().run()
        built = Path(self.build_lib) / 'dpk_mm'
        shutil.rmtree(built, ignore_errors=True)  # files that an earlier build left would be shipped
        super().run()
        mim = built / '.mim'
        for folder in ('configs', 'tools'):
            # setup.sh makes a checkout's .venv, with the help of setup/
            ignore = shutil.ignore_patterns('__pycache__', '*.pyc', 'setup.sh', 'setup')
            shutil.copytree(ROOT / folder, mim / folder, ignore=ignore)
        # mmengine reads this list of published models first, and fails without one.
        (mim / 'model-index.yml').write_text('Import: []\n', encoding='utf-8')


readme = ROOT / 'README.md'
# The packages of OpenMMLab are extras: pip does not know that a fork supplies mmengine, and would install
# upstream's over its files. dpk_mm alone changes nothing in an environment that can train.
stacks = {'upstream': ('upstream', 'det', 'cls'), 'onedl': ('onedl', 'onedl-det', 'onedl-cls')}
extras = {name: requirements(name) for name in ('demo', 'tests')}
for stack, (base, det, cls) in stacks.items():
    extras[stack] = [line for name in (base, det, cls) for line in requirements(name)]
    extras[f'{stack}-det'] = requirements(base) + requirements(det)
    extras[f'{stack}-cls'] = requirements(base) + requirements(cls)

setup(
    name='dpk_mm',
    version=read_version(),
    description='DPK distillation (dynamic prior knowledge) for MMDetection and MMPretrain',
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['dpk_mm', 'dpk_mm.*']),
    python_requires='>=3.10',
    install_requires=requirements('runtime'),
    extras_require=extras,
    cmdclass={'build_py': BuildPyWithConfigs},
    zip_safe=False,
)
