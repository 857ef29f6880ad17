import os
import subprocess

import pytest

SCRIPTS = ('setup', 'dist_train', 'dist_test', 'slurm_train', 'slurm_test', '_launch')
ENOUGH = dict(dist_train=2, dist_test=3, slurm_train=4, slurm_test=4)


def run(command, tmp_path, **env):
    """Run a command with the folder tmp_path/bin first on PATH."""
    path = f'{tmp_path / "bin"}:{os.environ["PATH"]}'
    return subprocess.run(
        [str(word) for word in command],
        cwd=tmp_path,
        env={**os.environ, 'PATH': path, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def echo(tmp_path):
    """A command that prints its arguments, one a line."""
    (tmp_path / 'bin').mkdir()
    path = tmp_path / 'bin/echo_args'
    # dist_train.sh also asks its python for a free port
    path.write_text('#!/bin/sh\n[ "$1" = -c ] && echo 12345 || printf "%s\\n" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize('name', SCRIPTS)
def test_parses(root, name, tmp_path):
    assert run(['bash', '-n', root / f'tools/{name}.sh'], tmp_path).returncode == 0


@pytest.mark.parametrize('name', ENOUGH)
def test_bad_usage_is_one_line(root, name, tmp_path):
    for count in range(ENOUGH[name]):
        result = run(['bash', root / f'tools/{name}.sh', *['x'] * count], tmp_path)
        assert result.returncode == 2
        assert result.stderr.startswith('usage: ') and result.stderr.count('\n') == 1


@pytest.mark.parametrize('gpus', ['0', 'two', '-1', ''])
def test_number_of_gpus_is_checked(root, tmp_path, gpus):
    result = run(['bash', root / 'tools/dist_train.sh', 'x.py', gpus], tmp_path)
    assert result.returncode == 2 and 'GPUS' in result.stderr


def test_torchrun_gets_the_nodes(root, tmp_path, echo):
    script = root / 'tools/dist_train.sh'
    args = ['my config.py', '4', '--cfg-options', 'a=[1, 2]']
    nodes = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1')
    lines = run(['bash', script, *args], tmp_path, PYTHON=str(echo), **nodes).stdout.splitlines()
    for line in ('--nnodes=2', '--node_rank=1', '--master_addr=10.0.0.1', '--master_port=29500'):
        assert line in lines
    assert '--nproc_per_node=4' in lines
    # arguments with spaces stay whole
    assert lines[lines.index('my config.py') :] == [
        *('my config.py', '--cfg-options', 'a=[1, 2]', '--launcher', 'pytorch')
    ]


def test_port_is_free_on_one_node_unless_given(root, tmp_path, echo):
    script = root / 'tools/dist_test.sh'
    args = ['bash', script, 'c.py', 'a.pth', '2']
    lines = run(args, tmp_path, PYTHON=str(echo)).stdout.splitlines()
    assert '--master_port=12345' in lines and lines[-4:-2] == ['c.py', 'a.pth']
    assert '--master_port=777' in run(args, tmp_path, PYTHON=str(echo), PORT='777').stdout


def test_slurm_gets_its_tasks(root, tmp_path, echo):
    (tmp_path / 'bin/srun').symlink_to(echo)
    script = root / 'tools/slurm_train.sh'
    args = ['part', 'job', 'c.py', 'out dir', '--amp']
    env = dict(GPUS='2', SRUN_ARGS='--quiet --time=1')
    lines = run(['bash', script, *args], tmp_path, **env).stdout.splitlines()
    for line in ('--ntasks=2', '--ntasks-per-node=2', '--gres=gpu:2', '--quiet', '--time=1'):
        assert line in lines
    assert lines[-4:] == ['c.py', '--work-dir=out dir', '--launcher=slurm', '--amp']


@pytest.mark.parametrize('name', ['GPUS', 'GPUS_PER_NODE'])
def test_slurm_refuses_what_is_no_number(root, tmp_path, echo, name):
    (tmp_path / 'bin/srun').symlink_to(echo)
    args = ['bash', root / 'tools/slurm_train.sh', 'part', 'job', 'c.py', 'out']
    result = run(args, tmp_path, **{name: 'two'})
    assert result.returncode == 2 and '--ntasks' not in result.stdout
    assert result.stderr.endswith(f"slurm_train.sh: {name} must be a number above 0, got 'two'\n")


# Runs last of all at exit: gloo's threads must have ended, else the process is now and then aborted.
LIST_THREADS = """
import atexit, pathlib, sys
names = pathlib.Path('/proc/self/task').glob
atexit.register(lambda: print('at exit:', [p.read_text() for p in names('*/comm')], file=sys.stderr))
"""


@pytest.mark.slow
def test_two_processes_train_on_the_cpu(root, toy, tmp_path):
    (tmp_path / 'sitecustomize.py').write_text(LIST_THREADS)
    env = dict(CUDA_VISIBLE_DEVICES='-1', PYTHONPATH=str(tmp_path))
    flags = ['--no-validate', '--cfg-options', 'find_unused_parameters=False']
    flags += ['env_cfg.dist_cfg.backend=gloo']
    result = run(['bash', root / 'tools/dist_train.sh', toy, '2', *flags], tmp_path, **env)
    assert result.returncode == 0, result.stderr[-3000:]
    threads = [line for line in result.stderr.splitlines() if 'at exit:' in line]
    assert len(threads) >= 2 and 'gloo' not in ''.join(threads)
    # 8 samples, 2 a batch, 2 processes
    assert 'GPU number: 2' in result.stdout
    log = next((tmp_path / 'work_dirs/toy').glob('*/*.log')).read_text()
    assert 'Distributed launcher: pytorch' in log and 'Saving checkpoint at 1 epochs' in log
