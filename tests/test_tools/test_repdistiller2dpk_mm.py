"""repdistiller2dpk_mm.py: a file of RepDistiller's becomes a teacher; the maps have tests of their own."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dpk_mm.models import FrozenTeacher

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs/dpk/cifar100/resnet20_cifar100.py')


@pytest.fixture
def convert(repdistiller2dpk_mm):
    return repdistiller2dpk_mm.main


@pytest.fixture(scope='module')
def weights():
    """A resnet20 under the names that it has there, the tensors all different."""
    teacher = FrozenTeacher(CONFIG, allow_incomplete=True).model
    names = {'backbone.stem.conv': 'conv1', 'backbone.stem.bn': 'bn1', 'head.fc': 'fc'}
    renamed = {}
    for i, (key, value) in enumerate(teacher.state_dict().items()):
        layer, _, name = key.rpartition('.')
        layer = names.get(layer, layer.removeprefix('backbone.'))
        renamed[f'{layer}.{name}'] = torch.full_like(value, i + 1)
    return renamed


@pytest.fixture
def source(weights, tmp_path):
    path = tmp_path / 'ckpt_epoch_240.pth'
    torch.save(dict(epoch=240, model=weights, best_acc=72.3), path)
    return path


def error_of(convert, *argv):
    """The one line of an error."""
    with pytest.raises(SystemExit) as error:
        convert([str(arg) for arg in argv])
    assert str(error.value).count('\n') == 0
    return str(error.value)


def test_a_converted_file_is_a_teacher(convert, source, weights, tmp_path, capsys):
    with pytest.raises(ValueError, match='no weight fits'):
        FrozenTeacher(CONFIG, str(source))
    out = tmp_path / 'new/resnet20.pth'
    convert([CONFIG, str(source), str(out)])
    assert f'{len(weights)} tensors, from all {len(weights)} of {source}' in capsys.readouterr().out
    teacher = FrozenTeacher(CONFIG, str(out))
    for value, given in zip(teacher.model.state_dict().values(), weights.values()):
        assert torch.equal(value, given)
    assert list(out.parent.iterdir()) == [out]


def test_what_does_not_fit_is_one_line(convert, source, tmp_path):
    out = tmp_path / 'out.pth'
    other, pair, sftn = (
        str(ROOT / f'configs/{name}_cifar100.py')
        for name in ('dpk/cifar100/vgg8', 'dpk/resnet56_resnet20', 'sftn/sftn_resnet56_resnet20')
    )
    mobile = str(ROOT / 'configs/dpk/cifar100/mobilenet-v2_cifar100.py')
    assert "'conv1' with {'weight': (16, 3, 3, 3)} does not fit" in error_of(convert, other, source, out)
    assert 'a MobileNetV2 cannot be converted' in error_of(convert, mobile, source, out)
    assert 'is of a DPKDistiller, not of a network alone' in error_of(convert, pair, source, out)
    assert 'is of a SFTN, not of a network alone' in error_of(convert, sftn, source, out)
    assert "CONFIG='nowhere.py'" in error_of(convert, 'nowhere.py', source, out)
    assert "SOURCE='nowhere.pth': no such file" in error_of(convert, CONFIG, 'nowhere.pth', out)
    assert not out.exists()
    assert 'exists already' in error_of(convert, CONFIG, source, source)


def test_a_file_that_can_run_code_needs_trust(convert, weights, tmp_path):
    """As those that RepDistiller calls *_last.pth: they keep the options of the command line."""
    source, out = tmp_path / 'resnet20_last.pth', tmp_path / 'out.pth'
    torch.save(dict(opt=argparse.Namespace(lr=0.05), model=weights), source)
    message = error_of(convert, CONFIG, source, out)
    assert 'argparse.Namespace' in message and 'pass --trust-checkpoint.' in message
    assert not out.exists()
    convert([CONFIG, str(source), str(out), '--trust-checkpoint'])
    assert out.exists()


@pytest.mark.slow
def test_without_mmpretrain_is_one_line(source, tmp_path):
    tool = str(ROOT / 'tools/model_converters/repdistiller2dpk_mm.py')
    argv = [tool, CONFIG, str(source), str(tmp_path / 'out.pth')]
    code = f"import runpy, sys\nsys.modules['mmpretrain'] = None\nsys.argv = {argv}\n"
    command = [sys.executable, '-W', 'ignore', '-c', f"{code}runpy.run_path({tool!r}, run_name='__main__')"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr.count('\n') == 1
    assert 'error: the networks need mmpretrain, which does not import here' in result.stderr
