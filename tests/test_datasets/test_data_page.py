"""The lines of docs/data.md for one's own images, as they stand there."""

import re

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from dpk_mm.registry import DATASETS


@pytest.fixture
def load(root, workdir):
    """Read the page's config that has certain words; returns the data sets of training and test."""
    (workdir / 'configs').symlink_to(root / 'configs')
    page = (root / 'docs/data.md').read_text(encoding='utf-8')
    snippets = re.findall(r'```python\n(.*?)```', page, re.DOTALL)

    def load(*words):
        (text,) = [text for text in snippets if all(word in text for word in words)]
        (workdir / 'config.py').write_text(text)
        cfg = Config.fromfile(workdir / 'config.py')
        assert cfg.val_dataloader.dataset == cfg.test_dataloader.dataset
        names = ('train_dataloader', 'val_dataloader')
        return [DATASETS.build(dict(cfg[name].dataset, _scope_=cfg.default_scope)) for name in names]

    return load


def labels_of(dataset):
    return [int(sample['data_samples'].gt_label) for sample in dataset]


def test_class_folders(load, workdir):
    images = ['train/ant/a b.PNG', 'train/bee/2.png', 'train/bee/deeper/10.jpg', 'val/bee/1.bmp']
    for name in images:
        path = workdir / 'data/mine' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((12, 10, 3), np.uint8))
    with pytest.raises(AssertionError, match='number of subfolders'):  # not labelled as the ant in silence
        load('CustomDataset')
    (workdir / 'data/mine/val/ant').mkdir()
    train, val = load('CustomDataset')
    assert labels_of(train) == [0, 1, 1] and labels_of(val) == [1]
    for dataset in (train, val):
        assert dataset.metainfo['classes'] == ('ant', 'bee')
        assert dataset[0]['inputs'].shape == (3, 224, 224)


@pytest.mark.parametrize('of, size', [('cifar100', 32), ('in1k', 224)])
@pytest.mark.parametrize('name', ['{}_{}', '{1}_{0}'])
def test_npz(load, workdir, of, size, name):
    images = np.zeros((3, 32, 32, 3), np.uint8)
    images[..., 0] = 255  # red
    kinds = ('x', 'y') if name == '{}_{}' else ('images', 'labels')
    arrays = {}
    for split, labels in (('train', [1, 0, 1]), ('test', [0, 1, 0])):
        arrays.update({name.format(kind, split): part for kind, part in zip(kinds, (images, labels))})
    (workdir / 'data').mkdir()
    np.savez(workdir / 'data/mine.npz', **arrays)
    train, test = load('NpzDataset', of)
    assert labels_of(train) == [1, 0, 1] and labels_of(test) == [0, 1, 0]
    for dataset in (train, test):
        assert dataset[0]['inputs'].shape == (3, size, size)
    cfg = Config.fromfile(workdir / 'config.py')
    red = 2 if cfg.data_preprocessor.to_rgb else 0  # the preprocessor turns it to the front
    assert test[0]['inputs'][:, 16, 16].tolist() == [255 * (channel == red) for channel in range(3)]
