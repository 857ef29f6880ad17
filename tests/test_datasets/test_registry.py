"""What is found in an environment that lacks one of the packages that dpk_mm builds on."""

import os
import subprocess
import sys

import pytest

HIDE = """
import importlib, pkgutil, sys

CLASSIFIERS = ('dpk_mm.datasets.npz_dataset', 'dpk_mm.models.backbones')  # are built on mmpretrain


class Hide:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *args):
        return None if name.split('.')[0] == sys.argv[1] else self.finder.find_spec(name, *args)

    def __getattr__(self, name):  # find_distributions, where the forks read their versions
        return getattr(self.finder, name)


sys.meta_path[:] = map(Hide, sys.meta_path)
import dpk_mm
from dpk_mm.registry import DATASETS, HOOKS, MODELS

found = [type.__name__ for type in (
    DATASETS.get('dpk_mm.NpzDataset'), MODELS.get('dpk_mm.DPKDistiller'), MODELS.get('dpk_mm.CIFARResNet'),
    HOOKS.get('dpk_mm.PlainCheckpointHook')) if type]
for module in pkgutil.walk_packages(dpk_mm.__path__, 'dpk_mm.', onerror=lambda name: None):
    if sys.argv[1] != 'mmpretrain' or module.name not in CLASSIFIERS:
        importlib.import_module(module.name)
assert sys.argv[1] not in sys.modules
print(*found)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    'hidden, found',
    [
        ('mmpretrain', 'DPKDistiller PlainCheckpointHook'),
        ('mmdet', 'NpzDataset DPKDistiller CIFARResNet PlainCheckpointHook'),
    ],
)
def test_the_package_imports_without(hidden, found):
    command = [sys.executable, '-W', 'ignore', '-c', HIDE, hidden]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split('\n')[-2] == found


@pytest.mark.slow
def test_an_mmpretrain_that_does_not_import_is_told(tmp_path):
    """Detectors are distilled all the same."""
    (tmp_path / 'mmpretrain').mkdir()
    (tmp_path / 'mmpretrain/__init__.py').write_text("raise TypeError('NoneType takes no arguments')")
    look = (
        "import dpk_mm\nfrom dpk_mm.registry import MODELS\nprint(MODELS.get('dpk_mm.DPKDistiller').__name__)"
    )
    code = f'import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{look}'
    shown = dict(os.environ, PYTHONWARNINGS='default')  # whoever runs the tests may have asked for silence
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=shown)
    assert result.stdout.split('\n')[-2:] == ['DPKDistiller', ''], result.stderr
    assert 'mmpretrain does not import here (TypeError: NoneType takes no arguments)' in result.stderr
