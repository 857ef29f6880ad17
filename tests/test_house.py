"""Who may import whom, and that what is imported is declared."""

import ast
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
# name of the import -> name of the distribution
DISTRIBUTIONS = {
    'cv2': 'opencv-python-headless',
    'PIL': 'pillow',
    'mmseg': 'mmsegmentation',
    'sklearn': 'scikit-learn',
    'skimage': 'scikit-image',
    'yaml': 'pyyaml',
}
PACKAGE = sorted(ROOT.glob('dpk_mm/**/*.py'))
TOOLS = sorted(ROOT.glob('tools/**/*.py'))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports(path, top_level=False):
    """Absolute names of what a file imports; with ``top_level`` only what its import runs."""
    package = module_name(path).split('.')
    if path.name != '__init__.py':
        package = package[:-1]
    tree = ast.parse(path.read_text(encoding='utf-8'))
    nodes = list(ast.walk(tree))
    if top_level:
        inner = {
            id(node)
            for function in nodes
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for node in ast.walk(function)
        }
        nodes = [node for node in nodes if id(node) not in inner]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = '.'.join([*start, *([node.module] if node.module else [])])
            yield base
            yield from (f'{base}.{alias.name}' for alias in node.names if alias.name != '*')


def test_the_package_has_no_circle_of_imports():
    files = {module_name(path): path for path in PACKAGE}
    # A submodule's import runs its packages' __init__ too, but those of the package itself are on the way.
    graph = {
        name: {other for other in imports(path, top_level=True) if other in files and other != name}
        for name, path in files.items()
    }
    done, path = set(), []

    def visit(name):
        if name in path:
            raise AssertionError(' -> '.join([*path[path.index(name) :], name]))
        if name not in done:
            path.append(name)
            for other in sorted(graph[name]):
                visit(other)
            path.pop()
            done.add(name)

    for name in graph:
        visit(name)


@pytest.mark.parametrize('folder', ['dpk_mm', 'tools'])
def test_nothing_of_the_product_imports_demo_experiments_or_tools(folder):
    local = {path.stem for top in ('tools', 'demo', 'experiments') for path in ROOT.glob(f'{top}/**/*.py')}
    for path in ROOT.glob(f'{folder}/**/*.py'):
        names = set(imports(path))
        tops = {name.split('.')[0] for name in names}
        assert not tops & {'demo', 'experiments', 'tools', 'tests'}, path
        if folder == 'tools':  # python puts a script's own folder first
            assert not (tops & local) - sys.stdlib_module_names, path


def test_libraries_raise_and_only_commands_end_the_process():
    for path in PACKAGE:
        nodes = ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        names = {getattr(node, 'id', getattr(node, 'attr', None)) for node in nodes}
        # a worker of a comparison is a command, too
        is_command = path.relative_to(ROOT / 'dpk_mm').as_posix() in ('utils/cli.py', 'compare/worker.py')
        assert is_command or not names & {'die', 'exit', '_exit', 'SystemExit'}, path


def test_tools_are_commands_of_at_most_a_hundred_lines():
    long = {path.name: n for path in TOOLS if (n := len(path.read_text().splitlines())) > 100}
    assert not long


@pytest.mark.parametrize('folder', ['dpk_mm', 'tools', 'demo', 'tests'])
def test_what_is_imported_is_declared(folder):
    names = ['runtime', 'upstream', 'det', 'cls', 'seg']
    names += {'demo': ['build', 'demo'], 'tests': ['build', 'demo', 'tests']}.get(folder, [])
    declared = {
        Requirement(line).name
        for name in names
        for line in (ROOT / f'requirements/{name}.txt').read_text().splitlines()
        if line and line[0] != '#'
    }
    own = {
        'dpk_mm',
        'experiments',
        *(path.stem for top in ('tests', 'demo') for path in ROOT.glob(f'{top}/**/*.py')),
    }
    for path in ROOT.glob(f'{folder}/**/*.py'):
        for name in {name.split('.')[0] for name in imports(path)} - sys.stdlib_module_names - own:
            assert DISTRIBUTIONS.get(name, name) in declared, f'{path}: {name}'
