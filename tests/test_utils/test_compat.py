from importlib import metadata
from pathlib import Path

import pytest
from mmengine.logging import HistoryBuffer

from dpk_mm.utils import compat

ROOT = Path(__file__).parents[2]


def pretend(monkeypatch, package, version):
    real = metadata.version

    def fake(name):
        if name != package:
            return real(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, 'version', fake)


def test_the_installed_versions_are_supported():
    compat.check_versions()


@pytest.mark.parametrize('package', compat.SUPPORTED)
def test_a_version_out_of_range_names_both(monkeypatch, package):
    low, high = compat.SUPPORTED[package]
    for installed in ('0.0.1', high, '99.0'):
        pretend(monkeypatch, package, installed)
        with pytest.raises(ImportError) as error:
            compat.check_versions()
        assert f'{package}=={installed}' in str(error.value)
        assert f'{package}>={low},<{high}' in str(error.value)


@pytest.mark.parametrize('package', compat.SUPPORTED)
def test_the_lowest_version_and_an_absent_package_pass(monkeypatch, package):
    for installed in (compat.SUPPORTED[package][0], None):
        pretend(monkeypatch, package, installed)
        compat.check_versions()


def test_upstreams_classes_are_allowed_once_dpk_mm_is_imported():
    import torch

    if hasattr(torch.serialization, 'get_safe_globals'):
        assert HistoryBuffer in torch.serialization.get_safe_globals()
