"""tools/setup.sh against a pretended uv and python: what it does, in which order, and what it says."""

import os
import shutil
import subprocess
import sys

import pytest

# Creates a pretended python, and remembers what it was asked to install.
UV = """#!/bin/sh
[ "$1" = --version ] && { echo 'uv 9.9.9'; exit; }
echo "$* ops=$MMCV_WITH_OPS" >>"$FAKE/uv.log"
sleep 0.2
case "$*" in
  venv*) for last; do :; done; mkdir -p "$last/bin"; cp "$FAKE/python" "$last/bin/python" ;;
  *mmcv==*) echo '[3/77] c++'
    case "$BAD_CACHE$*" in yes*--reinstall*|no*|'pip'*) touch .venv/ops ;; esac ;;
  *--requirement*) [ "$DISK" = full ] && { echo 'error: No space left on device'; exit 1; } ;;
esac
exit 0
"""
# Runs the probe for real; passes every check except that of ops not yet "compiled".
PYTHON = """#!/bin/sh
here=$(dirname "$0")/..
case "$*" in *sysconfig*) exec {python} "$@" ;; -VV) echo 3 ; exit ;; *opencv-python*) exit 1 ;; esac
if [ "$2" = - ]; then text=$(cat); else text=$*; fi
case "$text" in
  *mmcv.ops*) [ -e "$here/ops" ] ;;
  *mmdet.models*) if [ -e "$here/broken" ]; then echo 'no mmdet' >&2; exit 1; fi ;;
esac
"""


@pytest.fixture
def checkout(root, tmp_path, monkeypatch):
    copy = tmp_path / 'check out'
    (copy / 'tools').mkdir(parents=True)
    shutil.copy(root / 'tools/setup.sh', copy / 'tools')
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
    monkeypatch.delenv('PYTHON', raising=False)
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


def calls(checkout):
    log = checkout.parent / 'bin/uv.log'
    text = log.read_text() if log.exists() else ''
    log.unlink(missing_ok=True)
    kinds = ('venv --quiet', '--requirement', '--reinstall-package mmcv', 'mmcv==', '--editable')
    return [next(kind for kind in kinds if kind in line) for line in text.splitlines()], text


def test_makes_the_environment_once(checkout):
    code, output = run(checkout)
    assert code == 0, output
    assert output.endswith('set-up: ready\n')
    steps, text = calls(checkout)
    assert steps == ['venv --quiet', '--requirement', 'mmcv==', '--editable']
    assert 'mmcv==2.1.0 ops=1' in text
    assert 'mmcv' not in (checkout / '.venv/.dpk_mm-packages.txt').read_text()

    code, output = run(checkout)
    assert code == 0 and 'up to date' in output and calls(checkout)[0] == []

    # a changed pin is installed, into the same .venv
    (checkout / 'requirements/lock.txt').open('a').write('new==1\n')
    code, output = run(checkout)
    assert code == 0 and calls(checkout)[0] == ['--requirement', '--editable']


def test_broken_venv_is_remade(checkout):
    (checkout / '.venv/bin').mkdir(parents=True)
    (checkout / '.venv/bin/python').symlink_to('nowhere')
    (checkout / '.venv/.dpk_mm-stamp').write_text('a lie')
    (checkout / '.venv/leftover').touch()
    code, output = run(checkout)
    assert code == 0 and 'broken' in output
    assert calls(checkout)[0] == ['venv --quiet', '--requirement', 'mmcv==', '--editable']
    assert not (checkout / '.venv/leftover').exists()


def test_venv_that_cannot_be_completed_is_remade(checkout):
    (checkout / '.venv/bin').mkdir(parents=True)
    shutil.copy(checkout.parent / 'bin/python', checkout / '.venv/bin/python')
    (checkout / '.venv/ops').touch()
    (checkout / '.venv/broken').touch()
    code, output = run(checkout)
    assert code == 0, output
    assert 'no mmdet' in output
    assert calls(checkout)[0][:3] == ['--requirement', '--editable', 'venv --quiet']


def test_useless_mmcv_of_the_cache_is_compiled_anew(checkout):
    code, output = run(checkout, BAD_CACHE='yes')
    assert code == 0 and 'compiling it anew' in output
    assert calls(checkout)[0][2:4] == ['mmcv==', '--reinstall-package mmcv']


@pytest.mark.parametrize(
    'env, words',
    [
        (dict(CXX='no-such-compiler'), ['C++ compiler', 'no-such-compiler']),
        (dict(FREE_KB='3145728'), ['disk full', '3 GB', '8 GB']),
        (dict(DISK='full'), ['disk full']),
        (dict(PYTHON='/no/python'), ['/no/python', '3.9-3.12']),
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
    assert calls(checkout)[0] == ['venv --quiet', '--requirement', 'mmcv==', '--editable']
    assert any('waiting' in output and 'up to date' in output for output in outputs)
