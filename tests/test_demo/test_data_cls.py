import cv2
import data_cls
import numpy as np
import pytest

NUMBERS = {'train': 20, 'test': 12}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return data_cls.make_dataset(tmp_path_factory.mktemp('digits'), NUMBERS)


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob('*.*') if path.is_file()}


def test_the_same_bytes_on_every_call(root, tmp_path):
    again = files(data_cls.make_dataset(tmp_path, NUMBERS))
    assert len(again) == 20 + 12 + 3
    assert again == files(root)


def test_parts_share_no_digit_and_are_all_there_is():
    parts = {name: data_cls.load_digits(name)[0] for name in data_cls.NUM_DIGITS}
    assert {name: len(images) for name, images in parts.items()} == data_cls.NUM_DIGITS
    assert len({image.tobytes() for images in parts.values() for image in images}) == 1797


def test_every_class_is_in_every_part():
    for name, number in data_cls.NUM_DIGITS.items():
        counts = np.bincount(data_cls.load_digits(name)[1], minlength=10)
        assert counts.min() > 0.07 * number


@pytest.mark.parametrize('split', NUMBERS)
def test_images_and_labels_are_those_of_the_part(root, split):
    strokes, labels = data_cls.load_digits(split)
    lines = [line.split() for line in (root / f'{split}.txt').read_text().splitlines()]
    assert [int(label) for _, label in lines] == labels[: NUMBERS[split]].tolist()
    for (name, _), stroke in zip(lines, strokes):
        image = cv2.imread(str(root / split / name), cv2.IMREAD_GRAYSCALE)
        assert image.shape == (data_cls.SIZE, data_cls.SIZE)
        # bright strokes on a darker ground, more of them where the digit has more ink
        assert np.ptp(image.astype(int)) > 50 and stroke.max() > 0.5


def test_an_image_shows_its_digit():
    bar = np.zeros((8, 8), np.float32)
    bar[:, 3:5] = 1
    image = data_cls.make_image(np.random.default_rng(0), bar)
    rows, columns = np.where(image > 130)
    assert 8 <= np.ptp(rows) + 1 <= 13 and np.ptp(columns) < np.ptp(rows)


def test_choosing_is_done_on_other_digits(root, tmp_path):
    chosen = files(data_cls.make_dataset(tmp_path, NUMBERS, tested='choose'))
    shown = files(root)
    for path, content in shown.items():
        if path.parts[0] == 'train':
            assert chosen[path] == content
        elif path.parts[0] == 'test':
            assert chosen[path] != content
    assert (tmp_path / 'test.txt').read_text().split()[1::2] == [
        str(label) for label in data_cls.load_digits('choose')[1][:12]
    ]
    # the folder of one is not taken for the other
    assert files(data_cls.make_dataset(tmp_path, NUMBERS)) == shown
