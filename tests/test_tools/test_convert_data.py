import shutil
from pathlib import Path

import cv2
import mmpretrain
import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.datasets import CustomDataset

from dpk_mm.datasets import convert
from dpk_mm.registry import DATASETS

# The path of mmpretrain::_base_/datasets, which mmengine is slow to look up.
STOCK = Path(mmpretrain.__file__).parent / '.mim/configs/_base_/datasets'
QUICK = dict(serialize_data=False)  # serialising collects all garbage, half a second


def pixels(count, size=(32, 32), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)


@pytest.fixture
def npz(workdir):
    """Write an npz file; returns its path."""

    def write(name='all.npz', **arrays):
        np.savez(workdir / name, **arrays)
        return name

    return write


@pytest.fixture
def arrays():
    """Four training and three test images of three classes, in no order."""
    return dict(
        x_train=pixels(4),
        y_train=np.array([2, 0, 1, 0]),
        x_test=pixels(3, seed=1),
        y_test=np.array([1, 2, 1]),
    )


@pytest.fixture
def photos(workdir):
    """A folder of images of different sizes; val has none of the bees."""
    names = ['train/bee/2.png', 'train/bee/10.jpg', 'train/ant/a b.PNG', 'train/cat with hat/deeper/x.png']
    for seed, name in enumerate([*names, 'val/ant/1.bmp', 'val/cat with hat/1.png']):
        add_image(workdir / 'photos' / name, seed)
    (workdir / 'photos/train/ant/notes.txt').touch()
    return workdir / 'photos'


def add_image(path, seed=0, size=(12, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels(1, size, seed)[0])


@pytest.fixture
def run(convert_data, workdir, capsys):
    """Run the script to write `out`; returns what the lines that it prints make of a stock config."""

    def run(target, *argv, out='out'):
        convert_data.main([*map(str, argv), '--to', target, '--out', out])
        summary, lines = capsys.readouterr().out.split('\n\nIn your config:\n\n')
        base = 'cifar100_bs16' if target == 'cifar100' else 'imagenet_bs32'
        (workdir / 'c.py').write_text(f"_base_ = ['{STOCK}/{base}.py']\n{lines}")
        cfg = Config.fromfile(workdir / 'c.py')
        for name in ('train', 'val', 'test'):
            loader = cfg[f'{name}_dataloader']
            loader.dataset.update(pipeline=[], _scope_='mmpretrain', **QUICK)
            cfg[name] = DATASETS.build(loader.dataset)
        cfg.summary = summary
        return cfg

    return run


def labels(dataset):
    return dataset.get_gt_labels().tolist()


def fails_with(function, *words):
    with pytest.raises(SystemExit) as info:
        function()
    message = str(info.value)
    assert '\n' not in message
    for word in words:
        assert word in message, message


def images_of(dataset):
    """The images in RGB, of files as mmpretrain loads them."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [info['img'] if 'img' in info else cv2.imread(info['img_path'])[..., ::-1] for info in infos]


@pytest.mark.parametrize('target, size', [('cifar100', (32, 32)), ('imagenet', (9, 14))])
def test_npz_round_trip(run, npz, arrays, target, size):
    arrays.update(x_train=pixels(4, size), x_test=pixels(3, size, 1))
    cfg = run(target, npz(**arrays))
    assert cfg.summary == 'out: 4 training and 3 test images of 3 classes'
    for dataset, name in ((cfg.train, 'train'), (cfg.val, 'test'), (cfg.test, 'test')):
        np.testing.assert_array_equal(images_of(dataset), arrays[f'x_{name}'])
        assert labels(dataset) == arrays[f'y_{name}'].tolist()
        assert dataset.metainfo['classes'] == ('00000', '00001', '00002')
    assert cfg.data_preprocessor.num_classes == cfg.model.head.num_classes == 3


def test_two_npz_files_of_a_hundred_classes(run, npz):
    train = dict(Images=pixels(100), labels=np.arange(100)[::-1].astype(np.uint8)[:, None])
    test = dict(x=pixels(2)[..., 0], fine_labels=np.array([5, 99]), coarse_labels=np.array([0, 1]))
    cfg = run('cifar100', npz('a.npz', **train), npz('b.npz', **test))
    assert labels(cfg.train) == list(range(100))[::-1] and labels(cfg.val) == [5, 99]
    for channel in range(3):  # of grey images
        np.testing.assert_array_equal(np.stack(images_of(cfg.val))[..., channel], test['x'])
    assert 'model' not in cfg  # the stock config is for 100 classes


def test_folder_to_imagenet(run, photos):
    cfg = run('imagenet', photos)
    files = ['ant/a b.PNG', 'bee/10.jpg', 'bee/2.png', 'cat with hat/deeper/x.png']
    found = CustomDataset(data_root='out', data_prefix='train', **QUICK)  # without the annotation file
    for dataset, name, listed, expected in (
        (cfg.train, 'train', files, [0, 1, 1, 2]),
        (found, 'train', files, [0, 1, 1, 2]),
        (cfg.val, 'val', ['ant/1.bmp', 'cat with hat/1.png'], [0, 2]),
    ):
        assert labels(dataset) == expected
        assert dataset.metainfo['classes'] == ('ant', 'bee', 'cat with hat')
        paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
        assert paths == [f'out/{name}/{file}' for file in listed]
        for path in paths:
            assert Path(path).read_bytes() == (photos / Path(path).relative_to('out')).read_bytes()


def test_folder_to_cifar100_needs_resize(run, photos, workdir):
    add_image(photos / 'train/ant/0.png', size=(32, 32))
    (photos / 'val').rename(photos / 'test')
    fails_with(lambda: run('cifar100', photos), 'ant/a b.PNG is 10x12', '32x32', '--resize')
    assert {path.name for path in workdir.iterdir()} == {'photos'}  # nothing half-written
    cfg = run('cifar100', photos, '--resize')
    expected = [cv2.imread(str(photos / name)) for name in ('train/ant/0.png', 'test/ant/1.bmp')]
    expected[1] = cv2.resize(expected[1], (32, 32), interpolation=cv2.INTER_AREA)
    for dataset, image in zip((cfg.train, cfg.val), expected):
        np.testing.assert_array_equal(images_of(dataset)[0], image[..., ::-1])
    assert labels(cfg.train) == [0, 0, 1, 1, 2] and labels(cfg.val) == [0, 2]


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(x_train=pixels(4).astype(np.float32)), ['x_train is float32', 'uint8']),
        (dict(x_test=pixels(3).transpose(0, 3, 1, 2)), ['x_test is uint8 (3, 3, 32, 32)', '(N, H, W, 3)']),
        (dict(x_test=pixels(3).reshape(3, -1)), ['x_test', '(3, 3072)']),
        (dict(x_test=pixels(0), y_test=np.array([], int)), ['x_test', '(0, 32, 32, 3)', 'not empty']),
        (dict(y_train=np.array([2.0, 0, 1, 0])), ['y_train is float64', 'integers']),
        (dict(y_train=np.eye(4, dtype=int)), ['y_train', '(4, 4)', '(4,)']),
        (dict(y_test=np.array([0, 1])), ['y_test', '(2,)', '(3,)']),
        (dict(y_test=np.array([0, 3, 1])), ['no training images of class 00003', '00000 to 00002']),
        (dict(y_test=np.array([0, -1, 1])), ['no training images of class -0001']),
        (dict(y_train=np.array([1, 2, 3, 3])), ['no training images of class 00000', '00001 to 00003']),
        (dict(y_train=np.array([0, 1, 3, 1]), y_test=np.array([0, 1, 1])), ['class 00002', '3 classes']),
        (dict(x_train=pixels(4, (28, 28))), ['is 28x28', '32x32', '--resize']),
        (dict(x_train=None), ["'images_train'", "'train_x'", "['y_train', 'x_test', 'y_test']"]),
        (dict(train_x=pixels(4)), ['one array', "'x_train', 'y_train'", "'train_x'"]),
        (dict(x_train=np.array([None, 1])), ['cannot be read', 'allow_pickle']),
    ],
)
def test_mistakes_in_an_npz(run, npz, arrays, workdir, change, words):
    arrays = {name: array for name, array in {**arrays, **change}.items() if array is not None}
    path = npz(**arrays)
    fails_with(lambda: run('cifar100', path, out='deep/out'), path, *words)
    assert not list(workdir.glob('deep/*'))  # nothing half-written, whatever it is called


def test_unreadable_npz_files(run, npz, arrays, workdir):
    path = npz(**arrays)
    fails_with(lambda: run('cifar100', path, 'no.npz'), "['images', 'image', 'x', 'data']", "'x_train'")
    content = bytearray((workdir / path).read_bytes())
    (workdir / 'cut.npz').write_bytes(content[:-100])
    content[5000] ^= 255
    (workdir / 'damaged.npz').write_bytes(content)
    (workdir / 'text.npz').write_text('no archive')
    with open('array.npz', 'wb') as file:
        np.save(file, arrays['x_train'])
    for name in ('no', 'cut', 'damaged', 'text', 'array'):
        fails_with(lambda name=name: run('cifar100', f'{name}.npz'), f'{name}.npz: cannot be read')


@pytest.mark.parametrize(
    'break_it, words',
    [
        (lambda path: add_image(path / 'val/cow/1.png'), ['no training images of class cow']),
        (lambda path: (path / 'train/bee/2.png').write_text('none'), ['bee/2.png', 'not an image']),
        (lambda path: (path / 'val/ant/1.bmp').write_bytes(b''), ['ant/1.bmp', 'not an image']),
        (lambda path: shutil.rmtree(path / 'val'), ['photos', 'val/ or test/']),
        (lambda path: (path / 'train').rename(path / 'test'), ['photos', 'train/']),
        (lambda path: (path / 'test').mkdir(), ['photos', 'either val/ or test/']),
        (lambda path: [shutil.rmtree(each) for each in (path / 'train').iterdir()], ['no images', '.jpeg']),
    ],
)
def test_mistakes_in_a_folder(run, photos, workdir, break_it, words):
    break_it(photos)
    fails_with(lambda: run('imagenet', photos), *words)
    assert {path.name for path in workdir.iterdir()} == {'photos'}


def test_resize_is_for_cifar100(run, npz, arrays, capsys):
    with pytest.raises(SystemExit):
        run('imagenet', npz(**arrays), '--resize')
    assert '--resize is for' in capsys.readouterr().err


def test_what_is_there_is_kept(run, npz, arrays, workdir):
    path = npz(**arrays)
    run('cifar100', path)
    before = {file: file.read_bytes() for file in workdir.rglob('*') if file.is_file()}
    fails_with(lambda: run('cifar100', path), 'out: exists already')
    assert {file: file.read_bytes() for file in workdir.rglob('*') if file.is_file()} == before


@pytest.mark.parametrize('error', [OSError('disk full'), KeyboardInterrupt()])
def test_interrupted_conversion_leaves_nothing(run, npz, arrays, workdir, monkeypatch, error):
    def fail(*args):
        raise error

    monkeypatch.setattr(convert, '_write_cifar100', fail)
    path = npz(**arrays)
    with pytest.raises((SystemExit, KeyboardInterrupt), match='disk full|^$'):
        run('cifar100', path)
    assert {file.name for file in workdir.iterdir()} == {path}
