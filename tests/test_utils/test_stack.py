"""Upstream's packages or the forks: one family, whole, and in a version that is supported."""

import shutil
import subprocess
import sys

import pytest

from dpk_mm.stack import STACKS, check_stack


@pytest.fixture
def environment(tmp_path):
    """Make a folder of packages: import name -> version, and the distributions that say they brought them."""

    def make(packages, distributions):
        for package, version in {'torch': '2.6.0', **packages}.items():
            (tmp_path / package).mkdir()
            (tmp_path / package / '__init__.py').write_text('raise SystemExit("imported")')
            (tmp_path / package / 'version.py').write_text(f"__version__ = '{version}'\n")
        for name, version in distributions.items():
            folder = tmp_path / f'{name.replace("-", "_")}-{version}.dist-info'
            folder.mkdir()
            (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
        return [str(tmp_path)]

    return make


def whole(family, **versions):
    """The packages and the distributions of a family, in the lowest versions or in others."""
    packages = {package: low for package, (_, low, _) in STACKS[family].items()} | versions
    return packages, {name: packages[package] for package, (name, *_) in STACKS[family].items()}


def test_this_environment_is_one_of_them():
    assert check_stack() in STACKS


@pytest.mark.parametrize('family', STACKS)
def test_a_whole_family_passes_and_may_lack_one_task(environment, family):
    packages, distributions = whole(family)
    packages.pop('mmpretrain')
    distributions.pop(STACKS[family]['mmpretrain'][0])
    assert check_stack(environment(packages, distributions)) == family


@pytest.mark.parametrize('family', STACKS)
@pytest.mark.parametrize('package', STACKS['upstream'])
def test_a_version_out_of_range_names_both(environment, family, package):
    name, low, high = STACKS[family][package]
    path = environment(*whole(family, **{package: high}))
    with pytest.raises(ImportError, match=f'supports {name}>={low},<{high}, but {package} {high} is'):
        check_stack(path)


def test_what_is_imported_counts_and_not_what_pip_says(environment):
    packages, distributions = whole('onedl')
    packages['mmengine'] = '0.9.0'  # another put its files there
    with pytest.raises(ImportError, match='but mmengine 0.9.0 is installed'):
        check_stack(environment(packages, distributions))


def test_both_over_the_same_files_are_refused(environment):
    packages, distributions = whole('onedl')
    distributions['mmengine'] = '0.10.7'
    with pytest.raises(ImportError) as error:
        check_stack(environment(packages, distributions))
    for part in (
        'mmengine is installed twice',
        'pip uninstall -y mmengine onedl-mmengine',
        '[upstream]',
        '[onedl]',
    ):
        assert part in str(error.value)
    assert '\n' not in str(error.value)


def test_a_mixture_is_refused(environment):
    packages, distributions = whole('upstream')
    distributions.pop('mmdet')
    distributions['onedl-mmdetection'] = packages['mmdet'] = '3.5.1'
    with pytest.raises(
        ImportError, match='mmpretrain, mmsegmentation of upstream and onedl-mmdetection of the'
    ):
        check_stack(environment(packages, distributions))


@pytest.mark.parametrize('package', ['torch', 'mmengine', 'mmcv'])
def test_a_missing_package_names_both_ways(environment, package, tmp_path):
    path = environment(*whole('upstream'))
    shutil.rmtree(tmp_path / package)
    with pytest.raises(
        ImportError, match=rf'needs {package}, which is not installed: .*\[upstream\].*\[onedl\]'
    ):
        check_stack(path)


def test_the_import_of_dpk_mm_says_it_in_one_line(root):
    """Without any package: an interpreter that sees this checkout alone."""
    code = f'import sys; sys.path[:] = [p for p in sys.path if "-packages" not in p] + [{str(root)!r}]'
    code = f'{code}; import dpk_mm'
    done = subprocess.run([sys.executable, '-S', '-c', code], capture_output=True, text=True)
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith('ImportError: dpk_mm needs torch, which is not installed')
    )
