"""A checkpoint that declares more than it has is refused before it is loaded, and nothing of it runs."""

import collections
import contextlib
import os
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from tiny import Call

from dpk_mm.utils import load_weights
from dpk_mm.utils.checkpoint import check_checkpoint
from dpk_mm.utils.declared import check_declared, check_whole


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'file.pth'


def rezip(path, change, kind=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as old:
        entries = {name: change(name, old.read(name)) for name in old.namelist()}
    with zipfile.ZipFile(path, 'w', kind) as new:
        for name, content in entries.items():
            new.writestr(name, content)


@pytest.mark.parametrize('zipped', [True, False])
def test_what_trainings_write_passes(path, zipped):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    history = HistoryBuffer()
    history.update(1.0)
    shared = torch.ones(1000)
    content = dict(
        state_dict=model.state_dict(),
        optimizer=optimizer.state_dict(),
        history=history,
        numpy=[np.float64(3), np.ones(3)],
        sparse=torch.eye(3).to_sparse(),
        half=torch.ones(2, dtype=torch.bfloat16),
        double=torch.ones(2, dtype=torch.complex128),
        expanded=torch.ones(1).expand(100, 100),
        views=[shared[:10], shared[::2]],
        parameter=torch.nn.Parameter(torch.ones(2)),
        others=[collections.OrderedDict(a=1), torch.Size([3, 4]), bytearray(b'abc'), 1j, {1, 2}, 'ä'],
        whole_model=model,
    )
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    check_declared(path)
    if zipped:
        check_whole(path)


def deflated(path):
    torch.save(dict(w=torch.zeros(1 << 20)), path)
    rezip(path, lambda name, content: content, zipfile.ZIP_DEFLATED)


def short(path):
    """Torch itself reads past the end of this one's storage."""
    torch.save(dict(w=torch.zeros(1 << 20)), path)
    rezip(path, lambda name, content: b'abcd' if name.endswith('data/0') else content)


def legacy(path):
    torch.save(dict(w=torch.zeros(1 << 20)), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:500])


class Lie:
    """A tensor that lies about where in its storage it stands."""

    def __init__(self, **lies):
        self.lies = lies

    def __reduce__(self):
        function, args = torch.ones(4).__reduce_ex__(2)
        names = ('storage', 'offset', 'size', 'stride')
        return function, (*(self.lies.get(name, arg) for name, arg in zip(names, args)), *args[4:])


def bomb(levels):
    value = [1, 1]
    for _ in range(levels):
        value = [value, value]
    return value


def within_itself():
    value = []
    value.append(value)
    return value


def nested(path, levels=5000):
    """Python itself saves none that is so deep."""
    torch.save(dict(w=torch.ones(1)), path)
    content = b'\x80\x02' + b']' * levels + b'a' * (levels - 1) + b'.'
    rezip(path, lambda name, own: content if name.endswith('data.pkl') else own)


SIZES = dict(
    deflated=(deflated, r'4,19\d,\d{3} bytes'),
    short=(short, 'a storage of 4 bytes declares 4,194,304 bytes'),
    legacy=(legacy, 'declares 4,194,304 bytes, 500 are'),
    expanded=(
        torch.ones(1).expand(1 << 20, 1 << 20),
        'a tensor declares 4,398,046,511,104 bytes, 67,108,864',
    ),
    bytearray=(Call(bytearray, 2 << 30), '2,147,483,648 bytes'),
    array=(Call(np.ndarray, (1 << 31,)), '2,147,483,648 bytes'),
    strides=(Lie(size=(2, 2), stride=(1 << 28, 1)), 'a tensor declares 1,073,741,832 bytes'),
    offset=(Lie(offset=1 << 28), r'a tensor declares 1,073,741,8\d\d bytes'),
    bomb=(bomb(40), 'stands for over 1,000,000 values, or holds itself'),
    bomb_of_others=(Call(collections.deque, bomb(40)), 'stands for over 1,000,000 values'),
    within_itself=(within_itself(), 'stands for over 1,000,000 values, or holds itself'),
    nested=(nested, 'is nested too deeply'),
    wide=(Call(np.ndarray, (1,), np.dtype('V2000000000')), '2,000,000,000 bytes'),
)


@pytest.mark.parametrize('name', SIZES)
def test_sizes_are_not_believed(path, name):
    content, words = SIZES[name]
    content(path) if callable(content) else torch.save(dict(state_dict=dict(w=content)), path)
    with pytest.raises(ValueError, match=words) as error:
        load_weights(str(path))
    assert str(path) in str(error.value)
    with pytest.raises(ValueError, match='--resume: '):
        check_checkpoint(str(path), '--resume')


def test_nothing_runs_while_sizes_are_looked_for(path, tmp_path):
    for zipped in (True, False):
        evil = [
            Call(os.system, f'touch {tmp_path}/ran'),
            Call(getattr, Call(__import__, 'os'), 'system'),
        ]
        torch.save(dict(a=evil), path, _use_new_zipfile_serialization=zipped)
        check_declared(path)  # torch refuses it
    assert not (tmp_path / 'ran').exists()


def test_a_pipe_is_not_waited_for(path):
    os.mkfifo(path)
    with pytest.raises(ValueError, match='no ordinary file'):
        check_checkpoint(str(path), '--resume')


def test_whole_means_all_bytes(path):
    torch.save(dict(w=torch.arange(1000.0)), path)
    check_whole(path)
    content = bytearray(path.read_bytes())
    at = content.index(torch.arange(500.0, 510.0).numpy().tobytes())
    content[at : at + 40] = bytes(40)
    path.write_bytes(content)
    torch.load(path, weights_only=True)  # torch does not see it
    for read in (check_whole, lambda path: load_weights(str(path))):
        with pytest.raises(ValueError, match="is damaged; .*Bad CRC-32 for file 'file/data/0'"):
            read(path)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(dict(w=torch.arange(1000.0)), path)
    finally:
        torch.serialization.set_crc32_options(True)
    check_whole(path)
    path.write_bytes(b'')
    with pytest.raises(ValueError, match='is empty'):
        check_whole(path)


def test_each_bit_of_the_end_records(path):
    """A file passes only if torch reads from it what was written."""
    content = dict(meta=dict(epoch=1), message_hub={}, w=torch.arange(30.0), b=torch.ones(3))
    torch.save(content, path)
    original = path.read_bytes()
    start = original.index(b'PK\1\2')
    passed = 0
    for place in (*range(200), *range(start, len(original))):
        damaged = bytearray(original)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            check_whole(path)
        except ValueError:
            with contextlib.suppress(ValueError):
                check_declared(path)
            continue
        passed += 1
        found = torch.load(path, weights_only=True)
        assert list(found) == list(content) and torch.equal(found['w'], content['w']), place
    assert 0 < passed < 400  # such as dates


def test_an_entry_that_is_marked_as_a_folder_is_damaged(path):
    """Torch would not read it, and give whatever the memory holds."""
    torch.save(dict(w=torch.arange(30.0)), path)
    content = bytearray(path.read_bytes())
    attributes = content.rindex(b'file/data/0') - 8  # in the entry's record at the end of the file
    content[attributes] |= 0x10
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo('file/data/0').external_attr == 0x10
    with pytest.raises(ValueError, match='is damaged; .*file/data/0 is marked as a folder'):
        check_whole(path)


def test_two_files_in_one_are_read_as_torch_reads_them(path):
    """A legacy file that ends as a zip file does is a legacy file to torch."""
    torch.save(dict(w=torch.ones(2)), path)
    end = path.read_bytes()
    torch.save(dict(w=torch.ones(1).expand(1 << 20, 1 << 20)), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes() + end)
    assert zipfile.is_zipfile(path)
    with pytest.raises(ValueError, match='a tensor declares 4,398,046,511,104 bytes'):
        load_weights(str(path))


@pytest.mark.parametrize('second', ['file/data/0', 'file/DATA/0'])
def test_two_entries_of_one_name_are_refused(path, second):
    """Torch reads the first, whose size the second would hide."""
    torch.save(dict(w=torch.zeros(1 << 20)), path)
    with zipfile.ZipFile(path) as old:
        entries = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, 'w') as new, pytest.warns(UserWarning) if second.islower() else nullcontext():
        for name, content in entries:
            if name.endswith('data/0'):
                new.writestr(name, b'abcd')
            new.writestr(second if name.endswith('data/0') else name, content)
    with pytest.raises(ValueError, match='two entries of one name'):
        check_checkpoint(str(path), '--resume')
