"""Whatever stands in a file, its reader returns something or raises a ValueError."""

import io
import json

import numpy as np
import pytest
import torch

from dpk_mm.compare.csv_files import read_csv
from dpk_mm.utils import load_weights, read_ratios
from dpk_mm.utils.declared import check_whole
from dpk_mm.utils.files import read_json
from dpk_mm.utils.plain import histories, plain

hypothesis = pytest.importorskip('hypothesis')
given, st = hypothesis.given, hypothesis.strategies
settings = hypothesis.settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=20)


def reads(function, *args):
    """Call a reader; only what it promises may come out of it."""
    try:
        return function(*args)
    except ValueError as error:
        assert str(error)


def changed(content, changes, end):
    """A file with some bytes changed, and its end cut off."""
    content = bytearray(content)
    for place, byte in changes:
        content[int(place * len(content))] = byte
    return bytes(content[: int(end * len(content))])


def _saved(zipped):
    file = io.BytesIO()
    torch.save(
        dict(state_dict=dict(a=torch.ones(3), b=torch.zeros(2, 2))),
        file,
        _use_new_zipfile_serialization=zipped,
    )
    return file.getvalue()


FILES = [_saved(True), _saved(False)]


@settings
@given(which=st.integers(0, 1), changes=CHANGES, end=st.sampled_from([1.0, 1.0, 0.9, 0.3, 0.0]))
def test_checkpoints(tmp_path_factory, which, changes, end):
    path = tmp_path_factory.getbasetemp() / 'fuzz.pth'
    path.write_bytes(changed(FILES[which], changes, end))
    reads(load_weights, str(path))
    reads(check_whole, path)


@settings
@given(content=st.binary(max_size=300))
def test_any_bytes_as_a_checkpoint(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / 'fuzz.pth'
    path.write_bytes(content)
    assert reads(load_weights, str(path)) is None


def _arrays():
    file = io.BytesIO()
    np.savez(file, x=np.zeros((4, 2, 2), np.uint8), y=np.arange(4))
    return file.getvalue()


ARRAYS = _arrays()


@settings
@given(changes=CHANGES, end=st.sampled_from([1.0, 1.0, 0.9, 0.3, 0.0]))
def test_npz(tmp_path_factory, changes, end):
    datasets = pytest.importorskip('dpk_mm.datasets.npz_dataset')
    path = tmp_path_factory.getbasetemp() / 'fuzz.npz'
    path.write_bytes(changed(ARRAYS, changes, end))
    reads(lambda: datasets.NpzDataset(str(path), pipeline=[]).full_init())


CELLS = st.text(alphabet='a1.,-e"\n\0é', max_size=12)


@settings
@given(head=st.lists(st.sampled_from(['method', 'seed', 'top1', 'steps', '']), max_size=5), rest=CELLS)
def test_csv(head, rest):
    reads(read_csv, ','.join(head) + '\n' + rest)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@hypothesis.settings(settings, max_examples=15)
@given(value=VALUES)
def test_histories(value):
    for known in ({}, plain(histories(dict(loss=PLAIN))['loss'])):
        reads(
            histories, dict(loss={**known, **(value if isinstance(value, dict) else dict(log_history=value))})
        )


PLAIN = dict(log_history=torch.ones(3), count_history=torch.ones(3), max_length=10)


@settings
@given(value=VALUES, end=st.floats(0, 1))
def test_logs_and_results(tmp_path_factory, value, end):
    folder = tmp_path_factory.getbasetemp()
    text = json.dumps([dict(step=1, ratio_a=0.5), value], indent=None)
    (folder / 'scalars.json').write_text(text[1:-1].replace('}, ', '}\n', 1)[: int(end * len(text))])
    reads(read_ratios, folder)
    (folder / 'result.json').write_text(json.dumps(value)[: int(end * len(text))])
    reads(read_json, folder / 'result.json', 'metrics')
