import json

import cv2
import data
import numpy as np
import pytest

NUMBERS = {'train': 12, 'val': 6}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return data.make_dataset(tmp_path_factory.mktemp('digits'), NUMBERS)


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob('*.*') if path.is_file()}


def test_the_same_bytes_on_every_call(root, tmp_path):
    again = files(data.make_dataset(tmp_path, NUMBERS))
    assert len(again) == 12 + 6 + 3
    assert again == files(root)


def test_a_half_made_set_is_made_again_and_a_made_one_is_kept(root, tmp_path):
    data.make_split(tmp_path, 'train', 3)
    assert files(data.make_dataset(tmp_path, NUMBERS)) == files(root)
    image = tmp_path / 'train/0001.jpg'
    image.write_bytes(b'mine')
    data.make_dataset(tmp_path, NUMBERS)
    assert image.read_bytes() == b'mine'
    data.make_dataset(tmp_path, {'train': 13, 'val': 6})
    assert image.read_bytes() != b'mine'


@pytest.mark.parametrize('split', ['train', 'val'])
def test_annotations_are_coco_and_boxes_lie_inside(root, split):
    coco = json.loads((root / f'{split}.json').read_text())
    assert [category['name'] for category in coco['categories']] == list('0123456789')
    assert len(coco['images']) == NUMBERS[split]
    for image in coco['images']:
        pixels = cv2.imread(str(root / split / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)
    assert {item['image_id'] for item in coco['annotations']} <= {image['id'] for image in coco['images']}
    assert len({item['id'] for item in coco['annotations']}) == len(coco['annotations'])
    for item in coco['annotations']:
        x, y, width, height = item['bbox']
        assert x >= 0 and y >= 0 and width >= 2 and height >= 16
        assert x + width <= data.SIZE and y + height <= data.SIZE
        assert item['area'] == width * height


def test_a_box_holds_what_was_pasted():
    digits, labels = data.load_digits('train')
    flat = [np.full((200, 200, 3), 100, np.uint8)]
    image, objects = data.make_scene(np.random.default_rng(0), flat, digits, labels)
    outside = np.ones(image.shape[:2], bool)
    for item in objects:
        x, y, width, height = item['bbox']
        outside[y : y + height, x : x + width] = False
        # a stroke differs from the flat background by far more than the noise does
        assert np.ptp(image[y : y + height, x : x + width].astype(int).mean(-1)) > 40
    assert objects and np.ptp(image[outside].mean(-1)) < 40


def test_train_and_val_share_neither_digit_nor_photograph():
    assert not set(data.PHOTOS['train']) & set(data.PHOTOS['val'])
    train, _ = data.load_digits('train')
    val, _ = data.load_digits('val')
    assert len(train) + len(val) == 1797
    assert not {digit.tobytes() for digit in train} & {digit.tobytes() for digit in val}


def test_photographs_are_rgb():
    for names in data.PHOTOS.values():
        for name in names:
            photo = data.load_photo(name)
            assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
            assert min(photo.shape[:2]) >= data.SIZE
