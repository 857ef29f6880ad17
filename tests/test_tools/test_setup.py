"""tools/setup.sh against a pretended uv and python: what .venv holds after it, and what it says."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest

# Installs nothing, but writes into .venv what it was asked for. As the real one it compiles mmcv against the
# torch that is there, and takes an mmcv without ops from its cache where BAD_CACHE says so.
UV = """#!/bin/sh
[ "$1" = --version ] && { echo 'uv 9.9.9'; exit; }
sleep 0.2
for last; do :; done
venv=.venv
case "$*" in *.venv-onedl*) venv=.venv-onedl ;; esac
case "$*" in
  venv*) mkdir -p "$last/bin"; cp "$FAKE/python" "$last/bin/python" ;;
  *mmcv==*)
    grep -q '^torch==' $venv/installed || { echo 'error: no torch'; exit 1; }
    echo '[3/77] c++'
    echo "$last" >>$venv/installed
    case "$BAD_CACHE $MMCV_WITH_OPS $*" in *' 1 '*--reinstall*|' 1 '*) touch $venv/ops ;; esac ;;
  *--requirement*)
    [ "$DISK" = full ] && { echo 'error: No space left on device'; exit 1; }
    cat "$last" >>$venv/installed ;;
  *--editable*) echo dpk_mm >>$venv/installed ;;
esac
exit 0
"""
# Runs the probe for real; passes every check except that of ops not yet "compiled".
PYTHON = """#!/bin/sh
here=$(dirname "$0")/..
case "$*" in
  *sysconfig*) exec {python} "$@" ;;
  -VV) echo 3 ;;
  *check.py*ops*) [ -e "$here/ops" ] ;;
  *check.py*whole*) if [ -e "$here/broken" ]; then echo 'no mmdet' >&2; exit 1; fi ;;
esac
"""


@pytest.fixture
def checkout(root, tmp_path, monkeypatch):
    copy = tmp_path / 'check out'
    (copy / 'tools').mkdir(parents=True)
    shutil.copy(root / 'tools/setup.sh', copy / 'tools')
    shutil.copytree(root / 'tools/setup', copy / 'tools/setup')
    shutil.copytree(root / 'requirements', copy / 'requirements')
    for name in ('setup.py', 'pyproject.toml'):
        shutil.copy(root / name, copy)
    fake = tmp_path / 'bin'
    fake.mkdir()
    files = dict(uv=UV, python=PYTHON.format(python=sys.executable), df='', cxx='#!/bin/sh\n')
    files['df'] = '#!/bin/sh\necho header\necho "disk 9 9 ${FREE_KB:-99999999} 1% /"\n'
    for name, text in files.items():
        (fake / name).write_text(text)
        (fake / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{fake}:{os.environ["PATH"]}')
    monkeypatch.setenv('FAKE', str(fake))
    monkeypatch.setenv('CXX', str(fake / 'cxx'))
    for name in ('PYTHON', 'STACK', 'VENV', 'LOCK'):  # make sets STACK
        monkeypatch.delenv(name, raising=False)
    return copy


def start(checkout, **env):
    return subprocess.Popen(
        ['bash', str(checkout / 'tools/setup.sh')],
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(checkout, **env):
    process = start(checkout, **env)
    output = process.communicate(timeout=60)[0]
    return process.returncode, output


def installed(checkout, venv='.venv'):
    """What .venv holds, each as often as it was installed."""
    return sorted((checkout / venv / 'installed').read_text().splitlines())


def wanted(checkout, lock='lock.txt'):
    return sorted(['dpk_mm', *(checkout / 'requirements' / lock).read_text().splitlines()])


def test_makes_the_environment_once(checkout):
    code, output = run(checkout)
    assert code == 0, output
    assert output.endswith('set-up: ready: source .venv/bin/activate\n')
    assert installed(checkout) == wanted(checkout) and (checkout / '.venv/ops').exists()
    assert 'is not g++' in output and not (checkout / '.venv/.header').exists()

    code, output = run(checkout)
    assert code == 0 and 'up to date' in output and installed(checkout) == wanted(checkout)

    # a changed pin is installed, into the same .venv, and mmcv is not compiled again
    (checkout / '.venv/kept').touch()
    (checkout / 'requirements/lock.txt').open('a').write('new==1\n')
    code, output = run(checkout)
    assert code == 0 and (checkout / '.venv/kept').exists()
    assert set(installed(checkout)) == set(wanted(checkout))
    assert sum(name.startswith('mmcv==') for name in installed(checkout)) == 1


def test_the_forks_have_an_environment_of_their_own(checkout):
    code, output = run(checkout, STACK='onedl')
    assert code == 0, output
    assert installed(checkout, '.venv-onedl') == wanted(checkout, 'lock-onedl.txt')
    assert not (checkout / '.venv').exists()


def test_a_base_python_may_lie_in_a_folder_with_blanks(checkout, tmp_path):
    folder = tmp_path / 'my  own pythons'
    folder.mkdir()
    (folder / 'Python.h').touch()
    script = f"#!/bin/sh\nprintf '3.11\\t%s\\t%s\\n' '{folder}/python' '{folder}'\n"
    (folder / 'python').write_text(script)
    (folder / 'python').chmod(0o755)
    code, output = run(checkout, PYTHON=str(folder / 'python'))
    assert f'with Python 3.11 ({folder}/python)' in output, output
    (tmp_path / 'bin/cxx').write_text('#!/bin/sh\nfor one; do echo "<$one>"; done >>"$FAKE/flags"\n')
    shutil.rmtree(checkout / '.venv')
    run(checkout, PYTHON=str(folder / 'python'))
    assert f'<-I{folder}>' in (tmp_path / 'bin/flags').read_text()


def test_broken_venv_is_remade(checkout):
    (checkout / '.venv/bin').mkdir(parents=True)
    (checkout / '.venv/bin/python').symlink_to('nowhere')
    (checkout / '.venv/.dpk_mm-stamp').write_text('a lie')
    (checkout / '.venv/leftover').touch()
    code, output = run(checkout)
    assert code == 0 and 'broken' in output
    assert installed(checkout) == wanted(checkout) and not (checkout / '.venv/leftover').exists()


def test_venv_that_cannot_be_completed_is_remade(checkout):
    (checkout / '.venv/bin').mkdir(parents=True)
    shutil.copy(checkout.parent / 'bin/python', checkout / '.venv/bin/python')
    (checkout / '.venv/ops').touch()
    (checkout / '.venv/broken').touch()
    code, output = run(checkout)
    assert code == 0, output
    assert 'no mmdet' in output and 'completing .venv' in output
    assert installed(checkout) == wanted(checkout) and not (checkout / '.venv/broken').exists()


def test_useless_mmcv_of_the_cache_is_compiled_anew(checkout):
    code, output = run(checkout, BAD_CACHE='yes')
    assert code == 0 and 'compiling it anew' in output and (checkout / '.venv/ops').exists()


@pytest.mark.parametrize(
    'env, words',
    [
        (dict(CXX='no-such-compiler'), ['C++ compiler', 'no-such-compiler']),
        (dict(FREE_KB='3145728'), ['disk full', '3 GB', '8 GB']),
        (dict(DISK='full'), ['disk full']),
        (dict(STACK='fork'), ['STACK=fork', 'upstream', 'onedl']),
        (dict(PYTHON='/no/python'), ['/no/python', '3.11, 3.12, 3.10']),
        (dict(PYTHON='3.13'), ['3.13', 'of 3.11, 3.12, 3.10']),
        (dict(PYTHON='3.99'), ['3.99', '3.11, 3.12, 3.10']),
    ],
)
def test_what_is_missing_is_one_line(checkout, env, words):
    code, output = run(checkout, **env)
    assert code == 1
    errors = [line for line in output.splitlines() if 'error' in line]
    assert len(errors) == 1 and output.splitlines()[-1] == errors[0]
    for word in words:
        assert word in errors[0]
    assert not (checkout / '.venv/.dpk_mm-stamp').exists()


def test_two_at_once_work_one_after_the_other(checkout):
    if shutil.which('flock') is None:
        pytest.skip('no flock')
    both = [start(checkout), start(checkout)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert installed(checkout) == wanted(checkout)
    assert any('waiting' in output and 'up to date' in output for output in outputs)


@pytest.fixture
def unit(tmp_path):
    """One unit of a library whose header says whether it is read."""
    (tmp_path / 'torch').mkdir()
    (tmp_path / 'torch/types.h').write_text('#pragma once\nconst int types = 1;\n')
    (tmp_path / 'unit.cpp').write_text('#include <torch/types.h>\nint f() { return types; }\n')
    (tmp_path / 'headers').mkdir()
    return tmp_path


def compile_unit(root, folder, *flags, **env):
    words = f'-MMD -MF unit.d -g0 -O1 -fPIC -I. -c -c {folder}/unit.cpp -o {folder}/unit.o -std=c++17'
    command = [root / 'tools/setup/g++-with-torch', *words.split(), *flags]
    env = {**os.environ, 'PLAIN_CXX': 'g++', 'HEADER_DIR': str(folder / 'headers'), **env}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


needs_gcc = pytest.mark.skipif(shutil.which('g++') is None, reason='no g++')


@needs_gcc
def test_units_of_the_same_flags_share_one_precompiled_header(root, unit):
    for _ in range(2):
        done = compile_unit(root, unit, '-H')
        assert done.returncode == 0, done.stderr
        assert re.search(r'^! .*torch\.hpp\.gch', done.stderr, re.M)  # g++ says that it read it
    assert len(list(unit.glob('headers/*/torch.hpp.gch'))) == 1
    compile_unit(root, unit, '-O2')
    assert len(list(unit.glob('headers/*/torch.hpp.gch'))) == 2


@needs_gcc
def test_without_the_header_a_unit_is_compiled_as_ever(root, unit):
    (unit / 'torch/types.h').write_text('#error no\n')
    (unit / 'unit.cpp').write_text('int f() { return 1; }\n')
    assert compile_unit(root, unit).returncode == 0 and (unit / 'unit.o').exists()
    assert (unit / 'headers/failed').exists() and not list(unit.glob('headers/*/*.gch'))


@needs_gcc
def test_a_unit_that_is_wrong_fails(root, unit):
    (unit / 'unit.cpp').write_text('int f() { return; }\n')
    done = compile_unit(root, unit)
    assert done.returncode == 1 and 'unit.cpp:1' in done.stderr


@needs_gcc
def test_units_are_compiled_by_the_standard_that_torch_asks_for(root, unit):
    (unit / 'torch/types.h').write_text(
        '#if __cplusplus < 202002L\n#error older\n#endif\nconst int types = 1;\n'
    )
    assert 'older' in compile_unit(root, unit).stderr
    shutil.rmtree(unit / 'headers') or (unit / 'headers').mkdir()
    done = compile_unit(root, unit, STANDARD='c++20')
    assert done.returncode == 0 and not (unit / 'headers/failed').exists(), done.stderr


def test_the_matrix_keeps_the_rows_that_were_not_run(root):
    spec = importlib.util.spec_from_file_location('matrix', root / 'tests/matrix.py')
    matrix = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(matrix)
    page = f'# Title\n\n{matrix.HEAD}\n\nText.\n'
    one, two = matrix.ROWS[:2]
    for row in (one, two):
        page = matrix.write_table(page, {row: [*row, '2026-01-01', f'passed on {row[0]}', 'torch 1']})
    assert page.startswith('# Title\n') and page.endswith('\n\nText.\n')
    table = matrix.read_table(page)
    assert list(table) == matrix.ROWS
    assert table[one][4] == f'passed on {one[0]}' and table[two][4] == f'passed on {two[0]}'
    assert {cells[4] for row, cells in table.items() if row not in (one, two)} == {'not run'}
