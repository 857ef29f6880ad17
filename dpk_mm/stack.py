"""Which OpenMMLab packages dpk_mm runs on: upstream's, or the maintained forks of the same import names.

Nothing but the standard library is imported here, so that a missing or mixed stack is told in one line.
"""

import re
from collections.abc import Sequence
from importlib import metadata, util
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Optional

# family -> import name -> (distribution, lowest supported, first unsupported), as in requirements/.
STACKS = {
    'upstream': {
        'mmengine': ('mmengine', '0.10.0', '0.11.0'),
        'mmcv': ('mmcv', '2.1.0', '2.2.0'),
        'mmdet': ('mmdet', '3.2.0', '3.4.0'),
        'mmpretrain': ('mmpretrain', '1.1.0', '1.3.0'),
        'mmseg': ('mmsegmentation', '1.2.2', '1.3.0'),
    },
    'onedl': {
        'mmengine': ('onedl-mmengine', '0.10.10', '0.11.0'),
        'mmcv': ('onedl-mmcv', '2.3.0', '2.4.0'),
        'mmdet': ('onedl-mmdetection', '3.5.0', '3.6.0'),
        'mmpretrain': ('onedl-mmpretrain', '1.3.0', '1.4.0'),
        'mmseg': ('onedl-mmsegmentation', '1.4.2', '1.5.0'),
    },
}
_NEEDED = ('torch', 'mmengine', 'mmcv')
# mmcv is compiled against the torch that is there, which a build of pip's own does not see.
_WAYS = (
    "pip install --no-build-isolation 'dpk_mm[upstream]' for upstream's packages, or 'dpk_mm[onedl]' for the "
    'maintained forks, after torch, torchvision, ninja, wheel and setuptools<80.9'
)


def check_stack(path: Optional[Sequence[str]] = None) -> str:
    """Check that one family of packages is installed, whole, and in versions that are supported.

    Versions are read from the files that an import would read. No package is imported.

    Args:
        path (Sequence[str], optional): Folders to look in. Defaults to ``sys.path``.

    Returns:
        str: ``'upstream'`` or ``'onedl'``.

    Raises:
        ImportError: A package is missing, there twice, of the other family than the rest, or outside of its
            range; says how to mend it.
    """
    for package in _NEEDED:
        if _find(package, path) is None:
            raise ImportError(f'dpk_mm needs {package}, which is not installed: {_WAYS}.')
    where = {} if path is None else dict(path=list(path))
    installed = {_normalize(dist.metadata['Name'] or '') for dist in metadata.distributions(**where)}
    found = {
        family: {package: name for package, (name, *_) in packages.items() if name in installed}
        for family, packages in STACKS.items()
    }
    twice = [package for package in found['upstream'] if package in found['onedl']]
    if twice:
        names = ' '.join(of[package] for package in twice for of in found.values())
        raise ImportError(
            f'{", ".join(twice)} is installed twice, by upstream and by the fork, over the same files. '
            f'pip uninstall -y {names}, then {_WAYS}.'
        )
    if all(found.values()):
        upstream, forks = (', '.join(of.values()) for of in found.values())
        raise ImportError(f'{upstream} of upstream and {forks} of the forks do not go together: {_WAYS}.')
    family = 'onedl' if found['onedl'] else 'upstream'
    for package, (name, low, high) in STACKS[family].items():
        version = _version(package, path)
        if version is not None and not _parts(low) <= _parts(version) < _parts(high):
            raise ImportError(f'dpk_mm supports {name}>={low},<{high}, but {package} {version} is installed.')
    return family


def _find(package: str, path: Optional[Sequence[str]]) -> Optional[ModuleSpec]:
    """Where a package would be imported from, an editable installation included."""
    return util.find_spec(package) if path is None else PathFinder.find_spec(package, path)


def _version(package: str, path: Optional[Sequence[str]]) -> Optional[str]:
    """The version that an import of a package would give; None where it is not there or does not say."""
    spec = _find(package, path)
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).with_name('version.py')
    found = re.search(r"^__version__ = ['\"]([^'\"]+)", file.read_text(), re.M) if file.is_file() else None
    return found and found[1]


def _normalize(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()


def _parts(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison; what follows them does not matter."""
    return tuple(int(part) for part in re.match(r'\d+(\.\d+)*', version)[0].split('.'))
