import ast
import email
import re
import runpy
import shutil
import subprocess
import sys
import zipfile

import pytest
from mmengine.fileio import load

import dpk_mm


@pytest.fixture(scope='module')
def checkout(root, tmp_path_factory):
    """A copy of what packaging reads; a build writes into its source tree."""
    copy = tmp_path_factory.mktemp('checkout')
    for name in ('dpk_mm', 'configs', 'tools', 'requirements'):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns('__pycache__'))
    files = ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'README.md', 'CHANGELOG.md')
    for name in (*files, 'CITATION.cff', 'model-index.yml', 'requirements.txt'):
        shutil.copy(root / name, copy)
    (copy / 'tests').mkdir()
    (copy / 'tests/test_some.py').touch()
    return copy


def setup_py(checkout, *args):
    command = [sys.executable, 'setup.py', '--quiet', *map(str, args)]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope='module')
def source(checkout, tmp_path_factory):
    """The unpacked source distribution, which is what wheels are published from."""
    out = tmp_path_factory.mktemp('sdist')
    setup_py(checkout, 'sdist', '--formats=gztar', '--dist-dir', out)
    (path,) = out.glob('*.tar.gz')
    shutil.unpack_archive(path, out / 'content')
    (folder,) = (out / 'content').iterdir()
    return folder


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory):
    out = tmp_path_factory.mktemp('wheel')
    for name in ('.mim/configs/gone.py', 'gone/__init__.py'):  # of a build long ago
        stale = source / 'build/lib/dpk_mm' / name
        stale.parent.mkdir(parents=True)
        stale.touch()
    setup_py(source, 'bdist_wheel', '--dist-dir', out)
    (path,) = out.glob('*.whl')
    with zipfile.ZipFile(path) as archive:
        archive.extractall(out / 'content')
    return out / 'content'


def test_metadata(checkout):
    lines = setup_py(checkout, '--name', '--version').split()
    assert lines == ['dpk_mm', dpk_mm.__version__]


def test_the_pythons_of_the_classifiers_are_allowed(wheel):
    from packaging.specifiers import SpecifierSet

    (file,) = wheel.glob('*.dist-info/METADATA')
    fields = email.message_from_string(file.read_text(encoding='utf-8'))
    versions = re.findall(r'Python :: (\d\.\d+)', '\n'.join(fields.get_all('Classifier')))
    assert versions and all(version in SpecifierSet(fields['Requires-Python']) for version in versions)


@pytest.fixture
def description(checkout, tmp_path, monkeypatch):
    """What the package index shows: a function of CITATION.cff's address."""
    for name in ('setup.py', 'README.md', 'requirements', 'dpk_mm/version.py'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (checkout / name).is_dir() else shutil.copy)(checkout / name, tmp_path / name)
    monkeypatch.setattr('setuptools.setup', lambda **fields: None)

    def show(citation):
        (tmp_path / 'CITATION.cff').write_text(citation)
        module = runpy.run_path(str(tmp_path / 'setup.py'))
        url = module['repository_url']()
        return module['long_description'](url), module['project_links'](url)

    return show


LINK = re.compile(r'!?\[[^]]*\]\(([^)\s]+)\)')


def test_links_of_the_description_are_absolute(description, root):
    text, links = description('title: x\nrepository-code: https://example.org/us/dpk_mm/\n')
    own = f'https://example.org/us/dpk_mm/{{}}/v{dpk_mm.__version__}/'
    paths = [re.sub(f'^({own.format("raw")}|{own.format("blob")})', '', link) for link in LINK.findall(text)]
    assert paths == LINK.findall((root / 'README.md').read_text())
    links_of_text = [link for link in LINK.findall(text) if re.fullmatch(r'https://[^:]*', link)]
    assert links_of_text == LINK.findall(text) and all('://' in link for link in links.values())
    pictures = re.findall(r'!\[[^]]*\]\(([^)]+)\)', text)
    assert pictures and all(link.startswith(own.format('raw')) for link in pictures)
    assert links['Source'] == 'https://example.org/us/dpk_mm'


def test_without_an_address_the_description_has_no_dead_link(description, checkout):
    text, links = description('title: x\n')
    readme = (checkout / 'README.md').read_text()
    assert LINK.findall(text) == [link for link in LINK.findall(readme) if '://' in link]
    assert 'licensed, see LICENSE.' in text and '![' not in text  # the words of a link stay
    assert list(links) == ['Paper']


def test_the_citation_is_of_the_format(root):
    citation = load(str(root / 'CITATION.cff'), file_format='yaml')
    needed = ('cff-version', 'message', 'title', 'authors')
    assert [key for key in needed if not citation.get(key)] == []
    paper, readme = citation['preferred-citation'], (root / 'README.md').read_text()
    authors = ' and '.join(f'{who["family-names"]}, {who["given-names"]}' for who in paper['authors'])
    assert all(str(part) in readme for part in (paper['title'], authors, paper['year']))
    assert 'version' not in citation  # which stands in dpk_mm/version.py alone


def test_setup_imports_nothing_but_setuptools(root):
    """Whoever installs may not have torch yet."""
    tree = ast.parse((root / 'setup.py').read_text())
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split('.')[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported - set(sys.stdlib_module_names) == {'setuptools'}


def test_declared_ranges_are_the_checked_ones(root):
    from packaging.requirements import Requirement

    from dpk_mm.stack import STACKS

    names = dict(
        upstream=('upstream', 'det', 'cls', 'seg'), onedl=('onedl', 'onedl-det', 'onedl-cls', 'onedl-seg')
    )
    for stack, packages in STACKS.items():
        lines = [
            line
            for name in names[stack]
            for line in (root / f'requirements/{name}.txt').read_text().splitlines()
            if line and line[0] != '#'
        ]
        declared = {req.name: req.specifier for req in map(Requirement, lines)}
        for name, low, high in packages.values():
            assert low in declared[name], name
            assert high not in declared[name], name


@pytest.mark.parametrize(
    'lock, stack',
    [('lock', 'upstream det cls seg'), ('lock-onedl', 'onedl onedl-det onedl-cls onedl-seg')],
)
def test_lock_fits_the_ranges(root, lock, stack):
    from packaging.requirements import Requirement

    locked = {}
    for line in (root / f'requirements/{lock}.txt').read_text().splitlines():
        if line and not line.lstrip().startswith('#'):
            req = Requirement(line)
            locked.setdefault(req.name, []).append(next(iter(req.specifier)).version)
    for name in ('build', 'runtime', 'demo', 'tests', *stack.split()):
        for line in (root / f'requirements/{name}.txt').read_text().splitlines():
            if line and line[0] != '#' and (req := Requirement(line)):
                assert any(version in req.specifier for version in locked[req.name]), line


def test_source_has_no_part_of_the_tests(source):
    assert not (source / 'tests').exists()  # setuptools would add tests/test*.py, and no more of them


def test_wheel_carries_configs_and_tools(root, wheel):
    mim = wheel / 'dpk_mm/.mim'
    for folder in ('configs', 'tools'):
        have = {path.relative_to(mim) for path in (mim / folder).rglob('*') if path.is_file()}
        want = {
            path.relative_to(root)
            for path in (root / folder).rglob('*')
            if path.is_file() and not {'__pycache__', 'setup', 'setup.sh'} & set(path.parts)
        }
        assert have == want and want
    packages = {path.parent.relative_to(wheel) for path in wheel.rglob('__init__.py')}
    assert packages == {p.parent.relative_to(root) for p in (root / 'dpk_mm').rglob('__init__.py')}


def test_wheel_is_small_and_holds_no_research(wheel):
    files = [path for path in wheel.rglob('*') if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1.5e6
    assert {path.suffix for path in files} <= {'.py', '.sh', '.md', '.yml', '.txt', ''}
    folders = {path.name for path in (wheel / 'dpk_mm/.mim/configs').iterdir() if path.is_dir()}
    assert folders == {'baselines', 'dpk', 'foundation', 'kr', 'seg', 'sftn'}


def test_mmengine_finds_configs_in_the_wheel(wheel, root):
    from mmengine.config.utils import _get_cfg_metainfo, _get_external_cfg_base_path

    for path in (root / 'configs').rglob('*.py'):
        name = str(path.relative_to(root / 'configs'))
        if '_base_' in path.parts:  # of no metafile, so by its path
            assert _get_external_cfg_base_path(str(wheel / 'dpk_mm'), name).endswith(name)
        else:
            assert _get_cfg_metainfo(str(wheel / 'dpk_mm'), name)['Config'] == f'configs/{name}'


def test_our_own_configs_are_found_in_both_installs(root, wheel, monkeypatch):
    from dpk_mm.utils import config

    name = str(next((root / 'configs').glob('*/*.py')).relative_to(root / 'configs'))
    assert config.find_own_config(name) == root / 'configs' / name
    monkeypatch.setattr(config, '__file__', str(wheel / 'dpk_mm/utils/config.py'))
    assert config.find_own_config(name) == wheel / 'dpk_mm/.mim/configs' / name


def test_version_must_be_there(checkout, tmp_path, monkeypatch):
    for name in ('setup.py', 'requirements', 'CITATION.cff', 'README.md'):
        source = checkout / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / 'dpk_mm').mkdir()
    (tmp_path / 'dpk_mm/version.py').write_text('version = 1')
    monkeypatch.setattr(sys, 'argv', ['setup.py', '--version'])
    with pytest.raises(RuntimeError, match='__version__'):
        runpy.run_path(str(tmp_path / 'setup.py'))
