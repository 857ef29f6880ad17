import hashlib
import logging
import pickle

import numpy as np
import pytest
from mmengine.logging import MMLogger

from dpk_mm.registry import DATASETS

LISTS = {'train_list': 'train', 'test_list': 'test'}


@pytest.fixture
def copy(tmp_path):
    """Files of the archive's layout with four images a split."""
    folder = tmp_path / 'cifar-100-python'
    folder.mkdir()
    for seed, name in enumerate(('train', 'test')):
        data = np.random.default_rng(seed).integers(0, 256, (4, 3072), np.uint8)
        (folder / name).write_bytes(pickle.dumps(dict(data=data, fine_labels=[3, 99, 0, 7])))
    return folder


@pytest.fixture
def warnings(monkeypatch):
    """What was logged as a warning."""
    logged = []
    monkeypatch.setattr(
        MMLogger,
        'callHandlers',
        lambda self, record: (
            logged.append(record.getMessage()) if record.levelno == logging.WARNING else None
        ),
    )
    return logged


def build(folder, split='train'):
    # serialising collects all garbage, half a second
    return DATASETS.build(
        dict(
            type='dpk_mm.CIFAR100',
            data_root=str(folder.parent),
            split=split,
            download=False,
            serialize_data=False,
        )
    )


@pytest.mark.parametrize('split', ['train', 'test'])
def test_other_files_are_read_with_a_warning(copy, warnings, split):
    dataset = build(copy, split)
    data = pickle.loads((copy / split).read_bytes())['data']
    assert [item['gt_label'] for item in dataset] == [3, 99, 0, 7]
    np.testing.assert_array_equal(
        [item['img'] for item in dataset], data.reshape(4, 3, 32, 32).transpose(0, 2, 3, 1)
    )
    assert len(dataset.metainfo['classes']) == 100
    assert warnings and 'not the original archive' in warnings[0] and str(copy) in warnings[0]


def test_original_files_are_read_without_one(copy, warnings, monkeypatch):
    cls = DATASETS.get('dpk_mm.CIFAR100')
    for attribute, name in LISTS.items():
        checksum = hashlib.md5((copy / name).read_bytes()).hexdigest()
        monkeypatch.setattr(cls, attribute, [[name, checksum]])
    assert len(build(copy)) == 4
    assert not warnings


@pytest.mark.parametrize('name', ['train', 'test'])
def test_missing_files_go_upstreams_way(copy, name):
    (copy / name).unlink()
    with pytest.raises(RuntimeError, match='Cannot find CIFAR100 dataset'):
        build(copy)


def test_missing_files_are_downloaded_as_upstream_does(copy, monkeypatch):
    (copy / 'test').unlink()
    asked = []
    monkeypatch.setattr(
        'mmpretrain.datasets.cifar.download_and_extract_archive',
        lambda url, *args, **kwargs: asked.append(url),
    )
    with pytest.raises(AssertionError, match='download the dataset manually'):
        DATASETS.build(dict(type='dpk_mm.CIFAR100', data_root=str(copy.parent)))
    assert len(asked) == 1


def test_upstreams_own_class_refuses_them(copy):
    """Why ours exists."""
    with pytest.raises(RuntimeError, match='Cannot find CIFAR100 dataset'):
        DATASETS.build(
            dict(type='mmpretrain.CIFAR100', data_root=str(copy.parent), split='train', download=False)
        )
