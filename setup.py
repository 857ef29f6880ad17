"""Packaging of dpk_mm; the rest of the settings are in pyproject.toml.

torch is not imported here: the version is read from the file, and nothing is compiled.
"""

import ast
import re
import shutil
from pathlib import Path
from typing import Dict, List

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


def repository_url() -> str:
    """Read ``repository-code`` of CITATION.cff, the one place of the public address; empty without one."""
    text = (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
    found = re.search(r'^repository-code: *(\S+?)/?$', text, re.M)
    return found.group(1) if found else ''


def project_links(url: str) -> Dict[str, str]:
    """The links beside the description on a package index."""
    links = {'Paper': 'https://arxiv.org/abs/2206.06067'}
    if url:
        own = {'Source': url, 'Issues': f'{url}/issues', 'Changelog': f'{url}/blob/main/CHANGELOG.md'}
        links.update(own, Documentation=f'{url}/tree/main/docs')
    return links


def long_description(url: str) -> str:
    """The README for a package index, where a relative link leads nowhere.

    With an address the links become absolute, of this version. Without one a link becomes its text, and a
    picture goes.
    """

    def absolute(match: 're.Match[str]') -> str:
        mark, text, path = match.groups()
        if not url:
            return '' if mark else text
        return f'{mark}[{text}]({url}/{"raw" if mark else "blob"}/v{read_version()}/{path})'

    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    return re.sub(r'(!?)\[([^]]*)\]\((?!\w+:|#)([^)\s]+)\)', absolute, text)


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
        shutil.copy(ROOT / 'model-index.yml', mim)  # where mim and mmengine look for the metafiles


url = repository_url()
# The packages of OpenMMLab are extras: pip does not know that a fork supplies mmengine, and would install
# upstream's over its files. dpk_mm alone changes nothing in an environment that can train.
stacks = {'upstream': '', 'onedl': 'onedl-'}
extras = {name: requirements(name) for name in ('demo', 'tests')}
for stack, prefix in stacks.items():
    det, cls, seg = (requirements(f'{prefix}{task}') for task in ('det', 'cls', 'seg'))
    extras[stack] = requirements(stack) + det + cls  # whoever segments says so
    for task, packages in (('det', det), ('cls', cls), ('seg', seg)):
        extras[f'{stack}-{task}'] = requirements(stack) + packages

setup(
    name='dpk_mm',
    version=read_version(),
    description='DPK distillation (dynamic prior knowledge) for MMDetection, MMPretrain and MMSegmentation',
    long_description=long_description(url),
    long_description_content_type='text/markdown',
    url=url or None,
    project_urls=project_links(url),
    author='The dpk_mm authors',
    license='Apache-2.0',
    keywords='knowledge distillation, object detection, classification, segmentation, OpenMMLab, PyTorch',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3 :: Only',
        *(f'Programming Language :: Python :: {version}' for version in ('3.10', '3.11', '3.12', '3.13')),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    packages=find_packages(include=['dpk_mm', 'dpk_mm.*']),
    python_requires='>=3.10',
    install_requires=requirements('runtime'),
    extras_require=extras,
    cmdclass={'build_py': BuildPyWithConfigs},
    zip_safe=False,
)
