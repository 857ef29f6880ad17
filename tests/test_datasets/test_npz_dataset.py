import hashlib
import io
import os
import pickle
import zipfile

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpretrain.datasets import CIFAR100
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from mmpretrain.registry import TRANSFORMS
from numpy.lib import format as npy
from torch.utils.data import DataLoader

from dpk_mm.registry import DATASETS


def pixels(count, size=(32, 32), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)


@pytest.fixture
def arrays():
    """Four training and three test images of three classes, in no order."""
    return dict(
        x_train=pixels(4),
        y_train=np.array([2, 0, 1, 0]),
        x_test=pixels(3, seed=1),
        y_test=np.array([1, 2, 0]),
    )


@pytest.fixture
def build(workdir):
    """Write arrays into a file and build the data set of it."""

    def build(arrays, **kwargs):
        if arrays is not None:
            np.savez(workdir / 'a.npz', **arrays)
        return DATASETS.build({'type': 'dpk_mm.NpzDataset', 'ann_file': 'a.npz', **kwargs})

    return build


def images_of(dataset):
    return [sample['img'] for sample in dataset]


def labels_of(dataset):
    return [sample['gt_label'] for sample in dataset]


def fails_with(function, *words):
    with pytest.raises(ValueError) as info:
        function()
    message = str(info.value)
    assert '\n' not in message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize('split', ['train', 'test'])
def test_samples_are_those_of_mmpretrains_cifar100(build, arrays, split, root, workdir, monkeypatch):
    """Through the pipeline and the preprocessor of the config."""
    folder = workdir / CIFAR100.base_folder
    folder.mkdir()
    for part in ('train', 'test'):
        data = arrays[f'x_{part}'].transpose(0, 3, 1, 2).reshape(-1, 3072)
        content = pickle.dumps(dict(data=data, fine_labels=arrays[f'y_{part}'].tolist()))
        (folder / part).write_bytes(content)
        monkeypatch.setattr(CIFAR100, f'{part}_list', [[part, hashlib.md5(content).hexdigest()]])
    cfg = Config.fromfile(root / 'configs/dpk/cifar100/resnet20_cifar100.py')
    pipeline = cfg.test_dataloader.dataset.pipeline
    common = dict(split=split, pipeline=pipeline, _scope_='mmpretrain')
    stock = DATASETS.build(dict(common, type='CIFAR100', data_root='.', download=False))
    ours = build(arrays, **common)
    preprocess = MMPRETRAIN_MODELS.build(
        dict(cfg.data_preprocessor, type='ClsDataPreprocessor', _scope_='mmpretrain')
    )
    got, expected = (preprocess(pseudo_collate(list(dataset))) for dataset in (ours, stock))
    assert (got['inputs'] == expected['inputs']).all()
    gt, expected_gt = (
        [int(sample.gt_label) for sample in batch['data_samples']] for batch in (got, expected)
    )
    assert gt == expected_gt == arrays[f'y_{split}'].tolist()


@pytest.mark.parametrize('grey', [False, True])
def test_bgr_is_what_files_give(build, workdir, grey):
    """So that configs with ``to_rgb=True`` see the colours of the file."""
    image = pixels(1, (9, 14))[0]
    image = image[..., 0] if grey else image
    cv2.imwrite('a.png', image if grey else image[..., ::-1])
    loaded = TRANSFORMS.build(dict(type='LoadImageFromFile'))(dict(img_path='a.png'))
    arrays = dict(images=image[None], labels=np.zeros(1, np.uint8))
    (sample,) = build(arrays, channel_order='bgr')
    np.testing.assert_array_equal(sample['img'], loaded['img'])
    assert sample['img'].flags.writeable and sample['img'].dtype == np.uint8
    (rgb,) = build(arrays)
    np.testing.assert_array_equal(rgb['img'], loaded['img'][..., ::-1])


@pytest.mark.parametrize(
    'names, kwargs',
    [
        (('x', 'y'), {}),
        (('images', 'labels'), {}),
        (('x_train', 'y_train'), dict(split='train')),
        (('train_images', 'train_labels'), dict(split='train')),
        (('images_val', 'y_val'), dict(split='val')),
        (('Bilder', 'fine'), dict(image_key='Bilder', label_key='fine')),
        (('x_train', 'fine'), dict(label_key='fine', split='train')),
    ],
)
def test_names_of_arrays(build, names, kwargs):
    images, labels = pixels(3), np.array([[2], [0], [1]], np.uint8)
    others = dict(x_other=images, coarse=labels)
    dataset = build({**others, **dict(zip(names, (images, labels)))}, **kwargs)
    np.testing.assert_array_equal(images_of(dataset), images)
    assert labels_of(dataset) == [2, 0, 1] and all(type(label) is int for label in labels_of(dataset))


def test_several_files_are_one_after_the_other(build, workdir):
    """Of different sizes, and labels without gaps in all of them together."""
    parts = [pixels(2), pixels(3, (5, 6))]
    (workdir / 'data').mkdir()
    for name, images, labels in zip('ab', parts, ([0, 2], [1, 1, 1])):
        np.savez_compressed(workdir / f'data/{name}.npz', x=images, y=labels)
    files = ['a.npz', str(workdir / 'data/b.npz')]
    dataset = build(None, ann_file=files, data_root='data')
    assert labels_of(dataset) == [0, 2, 1, 1, 1]
    for image, expected in zip(images_of(dataset), [*parts[0], *parts[1]]):
        np.testing.assert_array_equal(image, expected)
    assert 'b.npz' in repr(dataset)


@pytest.mark.parametrize('indices, kept', [(2, [0, 1]), (-1, [3]), ([3, 1], [3, 1])])
@pytest.mark.parametrize('serialize_data', [False, True])
def test_indices(build, arrays, indices, kept, serialize_data):
    dataset = build(arrays, split='train', indices=indices, serialize_data=serialize_data)
    np.testing.assert_array_equal(images_of(dataset), arrays['x_train'][kept])
    assert labels_of(dataset) == arrays['y_train'][kept].tolist()


@pytest.mark.parametrize('grey', [False, True])
def test_samples_share_one_array_which_workers_leave_alone(build, arrays, grey):
    images = arrays['x_train'][..., 0] if grey else arrays['x_train']
    dataset = build(dict(x=images, y=arrays['y_train']))
    assert len(dataset.data_list) == 4  # not pickled
    for sample in dataset.data_list:
        assert sample['img'].base is dataset.data_list[0]['img'].base is not None
    (batch,) = DataLoader(dataset, batch_size=4, num_workers=1, collate_fn=pseudo_collate)
    assert batch['gt_label'] == arrays['y_train'].tolist()
    dataset[0]['img'][:] = 0  # what a pipeline may do
    np.testing.assert_array_equal(dataset[0]['img'][..., 0], arrays['x_train'][0, ..., 0])


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(x_train=pixels(4).astype(np.float32)), ['x_train is float32', 'uint8']),
        (dict(x_train=pixels(4).transpose(0, 3, 1, 2)), ['x_train is uint8 (4, 3, 32, 32)', '(N, H, W, 3)']),
        (dict(x_train=pixels(4)[..., None]), ['(4, 32, 32, 3, 1)']),
        (dict(x_train=pixels(4).reshape(4, -1)), ['x_train', '(4, 3072)']),
        (dict(x_train=pixels(0), y_train=np.array([], int)), ['x_train', '(0, 32, 32, 3)', 'not empty']),
        (dict(y_train=np.array([2.0, 0, 1, 0])), ['y_train is float64', 'integers']),
        (dict(y_train=np.eye(4, dtype=int)), ['y_train', '(4, 4)', '(4,)']),
        (dict(y_train=np.array([0, 1, 0])), ['y_train', '(3,)', '(4,)']),
        (dict(y_train=np.array(3)), ['y_train', '()', '(4,)']),
        (dict(y_train=np.array([0, 3, 1, 1])), ['from 0 to 3', 'none is 2', '`classes`']),
        (dict(y_train=np.array([1, 2, 3, 3])), ['from 1 to 3', 'none is 0']),
        (dict(y_train=np.array([0, -1, 1, 1])), ['from -1 to 1', 'none is 2']),
        (dict(x_train=None), ["'x_train', 'train_x', 'images_train'", "['y_train', 'x_test', 'y_test']"]),
        (dict(train_images=pixels(4)), ['one array', "'train_images'"]),
        (dict(x_train=np.array([None, 1])), ['x_train holds Python objects']),
    ],
)
def test_mistakes_in_the_arrays(build, arrays, change, words):
    arrays = {name: array for name, array in {**arrays, **change}.items() if array is not None}
    fails_with(lambda: build(arrays, split='train'), 'ann_file', 'a.npz', *words)


def test_a_file_of_one_split_is_no_file_of_two(build):
    """Testing on the images of the training would show in no message."""
    fails_with(lambda: build(dict(x=pixels(2), y=[0, 1]), split='test'), "'x_test'", "['x', 'y']")


@pytest.mark.parametrize(
    'kwargs, words',
    [
        (dict(label_key='z'), ["['z']", "'y_train'"]),
        (dict(image_key='y_train'), ['y_train is int64']),
        (dict(channel_order='grb'), ['channel_order', "'grb'"]),
        (dict(ann_file=''), ['ann_file', "''"]),
        (dict(ann_file=[]), ['ann_file', '[]']),
        (dict(classes=['a', 'b']), ['classes', '2', 'label 2']),
    ],
)
def test_mistakes_in_the_config(build, arrays, kwargs, words):
    fails_with(lambda: build(arrays, **{'split': 'train', **kwargs}), *words)


def test_classes_allow_that_one_has_no_images(build):
    arrays = dict(x=pixels(2), y=np.array([0, 2]))
    dataset = build(arrays, classes=['a', 'b', 'c'])
    assert labels_of(dataset) == [0, 2] and dataset.metainfo['classes'] == ('a', 'b', 'c')
    arrays['y'][0] = -1
    fails_with(lambda: build(arrays, classes=['a', 'b', 'c']), 'classes', 'label -1')


def test_unreadable_files(build, arrays, workdir):
    np.savez(workdir / 'whole.npz', **arrays)
    content = bytearray((workdir / 'whole.npz').read_bytes())
    (workdir / 'cut.npz').write_bytes(content[:-100])
    content[5000] ^= 255
    (workdir / 'damaged.npz').write_bytes(content)
    (workdir / 'text.npz').write_text('no archive')
    (workdir / 'folder.npz').mkdir()
    (workdir / 'pickle.npz').write_bytes(pickle.dumps(arrays))
    with open('array.npz', 'wb') as file:
        np.save(file, arrays['x_train'])
    os.mkfifo('fifo.npz')  # would wait for ever
    for name in ('no', 'cut', 'damaged', 'text', 'folder', 'pickle', 'array', 'fifo'):
        fails_with(lambda name=name: build(None, ann_file=f'{name}.npz', split='train'), f'{name}.npz: ')


def npy_file(shape, descr='|u1', held=b'', version=(1, 0)):
    """The bytes of an npy file whose header declares what it likes."""
    file = io.BytesIO()
    header = dict(shape=shape, fortran_order=False, descr=descr)
    (npy.write_array_header_1_0 if version == (1, 0) else npy.write_array_header_2_0)(file, header)
    return file.getvalue() + held


@pytest.mark.parametrize(
    'member, words',
    [
        (npy_file((10**9, 32, 32, 3), held=bytes(10)), ['x declares 3,072,000,000,128 bytes', 'has 138']),
        (npy_file((), '|V2000000000', bytes(10)), ['x declares 2,000,000,128 bytes']),
        (npy_file((1, 4, 4), held=bytes(17)), ['x declares 144 bytes', 'has 145']),
        (npy_file((1, 4, 4), held=bytes(16), version=(2, 0)), ['x', 'version 1.0']),
        (npy_file((70_000, 32, 32), held=bytes(70_000 << 10)), ['x declares 71,680,128', '67,108,864']),
    ],
)
def test_declared_sizes_are_refused_before_anything_is_read(build, workdir, monkeypatch, member, words):
    with zipfile.ZipFile(workdir / 'a.npz', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('x.npy', member)
        archive.writestr('y.npy', npy_file((1,), held=b'0'))
    monkeypatch.setattr(npy, 'read_array', None)
    fails_with(lambda: build(None), 'ann_file', *words)


def test_a_sound_file_may_be_large(build, workdir):
    """As it is beyond 64 MiB where it is not deflated."""
    images = np.zeros((70_000, 32, 32), np.uint8)
    assert len(build(dict(x=images, y=np.zeros(70_000, np.uint8)))) == 70_000


def test_many_tiny_images_are_refused(build):
    """Each sample takes memory beside its image."""
    many = dict(x=np.zeros((2 << 20, 1, 1), np.uint8), y=np.zeros(2 << 20, np.uint8))
    np.savez_compressed('a.npz', **many)
    fails_with(lambda: build(None)[0], 'a.npz', 'x declares 2,097,152 images', '1,048,576 are allowed')


def test_a_file_of_many_arrays_is_one_short_line(build):
    with zipfile.ZipFile('a.npz', 'w') as archive:
        for i in range(3000):
            archive.writestr(f'{i}.npy', b'')
    with pytest.raises(ValueError, match='and 2,980 more') as info:
        build(None)[0]
    assert len(str(info.value)) < 500
