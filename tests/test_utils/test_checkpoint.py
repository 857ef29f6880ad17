import bz2
import lzma
import pickle
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from dpk_mm.utils import load_weights

URL = 'https://example.com/models/v2.0/some_model-0123abcd.pth'
WEIGHTS = {'backbone.conv.weight': torch.arange(6.0).view(2, 3), 'head.bias': torch.ones(4)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'weights.pth'


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub cache, and no network."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))

    def fail(url, dst, *args, **kwargs):
        raise urllib.error.URLError('no route to host')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    return tmp_path / 'hub' / 'checkpoints' / 'some_model-0123abcd.pth'


class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Linear(3, 1)

    def forward(self, inputs, mode='tensor'):
        loss = self.conv(inputs).square().mean()
        return dict(loss=loss, metric=loss.detach()) if mode == 'loss' else loss


def assert_weights(loaded):
    assert list(loaded) == list(WEIGHTS)
    for key, value in WEIGHTS.items():
        assert torch.equal(loaded[key], value)
        assert loaded[key].device.type == 'cpu'


@pytest.mark.parametrize(
    'content',
    [
        WEIGHTS,
        {'state_dict': WEIGHTS},
        {'model': WEIGHTS, 'epoch': 3},
        {'meta': {'classes': ('a', 'b')}, 'state_dict': WEIGHTS, 'optimizer': {}},
        {f'module.{key}': value for key, value in WEIGHTS.items()},
        {'state_dict': {f'module.{key}': value for key, value in WEIGHTS.items()}},
        {f'module._orig_mod.{key}': value for key, value in WEIGHTS.items()},
        {key.replace('conv', '_orig_mod.conv'): value for key, value in WEIGHTS.items()},
        {f'_fsdp_wrapped_module.{key}': value for key, value in WEIGHTS.items()},
        {key.replace('.', '._checkpoint_wrapped_module.', 1): value for key, value in WEIGHTS.items()},
    ],
)
@pytest.mark.parametrize('zipped', [True, False])
def test_finds_the_weights(path, content, zipped):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert_weights(load_weights(str(path)))


def test_only_a_leading_module_goes(path):
    torch.save({'module.module.a': torch.ones(1), 'neck.module.b': torch.ones(1)}, path)
    assert set(load_weights(str(path))) == {'module.a', 'neck.module.b'}


def test_a_runners_checkpoint_opens_without_trust(tmp_path):
    """It carries a HistoryBuffer for each loss, and numpy scalars."""
    runner = Runner(
        model=Toy(),
        work_dir=str(tmp_path),
        train_dataloader=DataLoader([dict(inputs=torch.rand(3)) for _ in range(4)], batch_size=2),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        param_scheduler=dict(type='LinearLR', start_factor=0.5, end=2),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        experiment_name=tmp_path.name,
        log_level='ERROR',
    )
    runner.train()
    path = tmp_path / 'epoch_1.pth'
    assert b'HistoryBuffer' in path.read_bytes()
    loaded = load_weights(str(path))
    assert set(loaded) == {'conv.weight', 'conv.bias'}
    assert torch.equal(loaded['conv.weight'], runner.model.conv.weight)
    torch.load(path)  # as mmengine's own resume does it, whatever torch's default is


def test_numpy_of_both_generations_opens_without_trust(path):
    scalars = [dtype(3) for dtype in (np.float64, np.float32, np.int64, np.int32, np.bool_)]
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save({'state_dict': WEIGHTS, 'a': scalars, 'b': np.arange(3.0), 'c': history}, path)
    assert_weights(load_weights(str(path)))
    # what the other numpy would have written
    legacy = pickle.dumps(np.float64(3), protocol=2)
    assert b'numpy' in legacy
    names = [b'numpy._core.multiarray', b'numpy.core.multiarray']
    for name in names:
        torch.save({'state_dict': WEIGHTS, 'a': np.float64(3)}, path, _use_new_zipfile_serialization=0)
        content = path.read_bytes()
        for other in names:
            content = content.replace(b'c' + other + b'\n', b'c' + name + b'\n')
        assert name in content
        path.write_bytes(content)
        assert_weights(load_weights(str(path)))


@pytest.mark.parametrize('zipped', [True, False])
def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path, path, zipped):
    trace = tmp_path / 'ran'
    content = {'state_dict': WEIGHTS, 'meta': tiny.runs_code(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match='trust_checkpoint=True') as error:
        load_weights(str(path), field='teacher.checkpoint')
    assert not trace.exists()
    assert f'teacher.checkpoint={str(path)!r}' in str(error.value)
    assert 'exec' in str(error.value)
    assert_weights(load_weights(str(path), trust=True))
    assert trace.exists()


def test_a_bare_pickle_is_refused_unrun(tmp_path, path):
    trace = tmp_path / 'ran'
    path.write_bytes(pickle.dumps(tiny.runs_code(trace)))
    with pytest.raises(ValueError):
        load_weights(str(path))
    assert not trace.exists()


@pytest.mark.parametrize('trust', [True, False])
@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('share', [0, 0.02, 0.1, 0.5, 0.95])
def test_a_truncated_file_says_so(path, share, zipped, trust):
    torch.save({'state_dict': WEIGHTS}, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match='may be truncated') as error:
        load_weights(str(path), trust)
    assert str(path) in str(error.value)
    assert 'trust_checkpoint' not in str(error.value)


@pytest.mark.parametrize('trust', [True, False])
def test_a_file_that_is_no_checkpoint_is_not_called_dangerous(path, trust):
    path.write_bytes(b'\xf4\x00\xff')
    with pytest.raises(ValueError, match='no readable checkpoint'):
        load_weights(str(path), trust)


def test_a_trusted_file_whose_classes_are_gone_names_the_file(path):
    import sys
    import types

    module = types.ModuleType('gone')
    module.Gone = type('Gone', (), {'__module__': 'gone'})
    sys.modules['gone'] = module
    torch.save({'state_dict': WEIGHTS, 'meta': module.Gone()}, path)
    del sys.modules['gone']
    with pytest.raises(ValueError, match='gone') as error:
        load_weights(str(path), trust=True)
    assert str(path) in str(error.value)


def test_a_missing_file_names_the_field_and_the_folder(tmp_path):
    missing = tmp_path / 'nothing.pth'
    with pytest.raises(FileNotFoundError, match='teacher.checkpoint=.*no such file') as error:
        load_weights(str(missing), field='teacher.checkpoint')
    assert str(missing) in str(error.value) and str(Path.cwd()) in str(error.value)
    with pytest.raises(FileNotFoundError, match='teacher.checkpoint=.* is a folder: name a file in it'):
        load_weights(str(tmp_path), field='teacher.checkpoint')


def test_a_url_that_cannot_be_fetched_says_where_to_put_the_file(hub):
    with pytest.raises(FileNotFoundError) as error:
        load_weights(URL, field='teacher.checkpoint')
    for part in ('teacher.checkpoint', URL, 'no route to host', str(hub)):
        assert part in str(error.value)
    torch.save(WEIGHTS, hub)  # the folder is already there
    assert_weights(load_weights(URL))


def test_files_of_one_name_and_other_urls_are_told_apart(hub, monkeypatch):
    fetched = []

    def fetch(url, path, hash_prefix=None):
        fetched.append((url, hash_prefix))
        torch.save(dict(weight=torch.full((1,), float(len(fetched)))), path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    urls = [f'https://x.y/{run}/epoch_1.pth' for run in 'ab'] + ['https://x.y/net-0123abcd.pth']
    assert [load_weights(url)['weight'].item() for url in urls * 2] == [1, 2, 3] * 2
    # the digits in a published name are those of the file, and are checked
    assert [prefix for _, prefix in fetched] == [None, None, '0123abcd']


def test_a_url_is_fetched_once(hub, monkeypatch):
    calls = []

    def fetch(url, dst, *args, **kwargs):
        calls.append(url)
        torch.save(WEIGHTS, dst)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    for _ in range(2):
        assert_weights(load_weights(URL + '?download=1'))
    assert calls == [URL + '?download=1']
    assert hub.is_file()


@pytest.mark.parametrize('owner, name', [(HistoryBuffer, '__init__'), (torch.Tensor, 'mean')])
def test_a_log_historys_getattr_opens_no_other_door(path, owner, name):
    """A pickled HistoryBuffer names its statistics by getattr."""
    torch.save({'state_dict': WEIGHTS, 'meta': tiny.Call(getattr, owner, name)}, path)
    with pytest.raises(ValueError, match='trust_checkpoint'):
        load_weights(str(path))


@pytest.mark.parametrize(
    'content, said',
    [
        (dict(ema=WEIGHTS, epoch=3), "but 'ema' of 2 tensors, 'epoch'."),
        (dict(a=dict(b=WEIGHTS)), "but 'a'."),
        (dict.fromkeys('abcdefghij', 1), "'g', 'h', ..."),
        ([torch.ones(1)], 'but a list.'),
        (torch.ones(1), 'but a Tensor.'),
        ({}, 'but nothing.'),
        (dict(state_dict={}), 'but nothing.'),
    ],
)
def test_a_file_without_weights_says_what_it_holds(path, content, said):
    torch.save(content, path)
    with pytest.raises(ValueError, match='holds no weights at its top, nor in state_dict or model') as error:
        load_weights(str(path))
    assert said in str(error.value)


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('protocol', [4, 5])
def test_another_protocol_is_not_called_truncated(path, protocol, zipped):
    torch.save(WEIGHTS, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=f'is a pickle of protocol {protocol}.* without pickle_protocol'):
        load_weights(str(path))


@pytest.mark.parametrize(
    'content, words',
    [
        (b'<!DOCTYPE html>\n<html>404</html>', 'a web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'a pointer of Git LFS'),
        (b'\x89HDF\r\n\x1a\n' + bytes(99), 'an HDF5 file'),
        (b'\x1f\x8b\x08' + bytes(99), 'packed by gzip'),
        (b'\x02' + bytes(7) + b'{}', 'a safetensors file'),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error>AccessDenied</Error>', 'a web page'),
        (lzma.compress(b'x'), 'packed by xz'),
        (bz2.compress(b'x'), 'packed by bzip2'),
        (b'\x89PNG\r\n\x1a\n', 'a picture'),
        (b'/models/epoch_12.pth\n', "a text that begins with '/models/epoch_12.pth'"),
    ],
)
def test_files_of_others_are_not_called_truncated(path, content, words):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'is {words}') as error:
        load_weights(str(path))
    assert 'truncated' not in str(error.value)


def test_archives_of_others_are_not_called_truncated(path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(ValueError, match='is a TorchScript archive'):
        load_weights(str(path))
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('epoch_1.pth', b'')
    with pytest.raises(ValueError, match='is no checkpoint, but a zip file of others$'):
        load_weights(str(path))


def test_a_pickle_of_others_is_not_called_truncated(path):
    path.write_bytes(pickle.dumps({'a': 1}, protocol=2))
    with pytest.raises(ValueError, match='is a pickle that torch did not write. Save its weights'):
        load_weights(str(path))


def test_what_cannot_be_resumed_says_how_to_start_from_it(path, monkeypatch):
    from dpk_mm.utils.checkpoint import check_resumable

    torch.save(dict(state_dict=WEIGHTS, meta={}), path)  # as an exported student
    with pytest.raises(
        ValueError, match="--resume: .* holds 'state_dict' of 2 tensors, 'meta'.* load_from="
    ) as e:
        check_resumable(str(path), '--resume')
    assert '\n' not in str(e.value)
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(ValueError, match="holds 'weight', 'bias'"):
        check_resumable(str(path), '--resume')
    torch.save(dict(state_dict=WEIGHTS, meta={}, message_hub={}), path)
    with monkeypatch.context() as patch:
        patch.setattr(torch, 'load', None)  # no weights are read
        check_resumable(str(path), '--resume')
    path.write_bytes(b'no checkpoint at all')
    check_resumable(str(path), '--resume')  # told by whoever loads it


def test_resuming_is_checked_without_running_code(path, tmp_path):
    from dpk_mm.utils.checkpoint import check_resumable

    path.write_bytes(pickle.dumps(tiny.runs_code(tmp_path / 'trace')))
    check_resumable(str(path), '--resume')
    assert not (tmp_path / 'trace').exists()
