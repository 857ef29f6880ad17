import json

import cv2
import numpy as np
import pytest

DETECTION, CLASSIFICATION = {'train': 12, 'val': 6}, {'train': 20, 'test': 12}


def detection(make_data, root):
    for split, number in DETECTION.items():
        make_data.make_detection(root, split, number)
    return root


def classification(make_data, root, tested='test'):
    for split, number in CLASSIFICATION.items():
        make_data.make_classification(root, split, number, tested if split == 'test' else split)
    return root


@pytest.fixture(scope='module')
def scenes(make_data, tmp_path_factory):
    return detection(make_data, tmp_path_factory.mktemp('scenes'))


@pytest.fixture(scope='module')
def singles(make_data, tmp_path_factory):
    return classification(make_data, tmp_path_factory.mktemp('singles'))


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob('*.*') if path.is_file()}


def test_the_same_bytes_on_every_call(make_data, scenes, singles, tmp_path):
    for root, make, number in ((scenes, detection, 12 + 6 + 2), (singles, classification, 20 + 12 + 2)):
        again = files(make(make_data, tmp_path / make.__name__))
        assert len(again) == number
        assert again == files(root)


@pytest.mark.parametrize('split', DETECTION)
def test_annotations_are_coco_and_boxes_lie_inside(make_data, scenes, split):
    coco = json.loads((scenes / f'{split}.json').read_text())
    assert [category['name'] for category in coco['categories']] == list('0123456789')
    assert len(coco['images']) == DETECTION[split]
    for image in coco['images']:
        pixels = cv2.imread(str(scenes / split / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)
    assert {item['image_id'] for item in coco['annotations']} <= {image['id'] for image in coco['images']}
    assert len({item['id'] for item in coco['annotations']}) == len(coco['annotations'])
    for item in coco['annotations']:
        x, y, width, height = item['bbox']
        assert x >= 0 and y >= 0 and width >= 2 and height >= 16
        assert x + width <= make_data.SCENE_SIZE and y + height <= make_data.SCENE_SIZE
        assert item['area'] == width * height


def test_a_box_holds_what_was_pasted(make_data):
    digits, labels = make_data.load_digits('train')
    flat = [np.full((200, 200, 3), 100, np.uint8)]
    image, objects = make_data.draw_scene(np.random.default_rng(0), flat, digits, labels)
    outside = np.ones(image.shape[:2], bool)
    for item in objects:
        x, y, width, height = item['bbox']
        outside[y : y + height, x : x + width] = False
        # a stroke differs from the flat background by far more than the noise does
        assert np.ptp(image[y : y + height, x : x + width].astype(int).mean(-1)) > 40
    assert objects and np.ptp(image[outside].mean(-1)) < 40


def test_train_and_val_share_neither_digit_nor_photograph(make_data):
    assert not set(make_data.PHOTOS['train']) & set(make_data.PHOTOS['val'])
    train, _ = make_data.load_digits('train')
    val, _ = make_data.load_digits('val')
    assert len(train) + len(val) == 1797
    assert not {digit.tobytes() for digit in train} & {digit.tobytes() for digit in val}


def test_photographs_are_rgb(make_data):
    for names in make_data.PHOTOS.values():
        for name in names:
            photo = make_data.load_photo(name)
            assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
            assert min(photo.shape[:2]) >= make_data.SCENE_SIZE


def test_parts_share_no_digit_and_are_all_there_is(make_data):
    parts = {name: make_data.load_part(name) for name in make_data.NUM_DIGITS}
    assert {name: len(images) for name, (images, _) in parts.items()} == make_data.NUM_DIGITS
    assert len({image.tobytes() for images, _ in parts.values() for image in images}) == 1797
    for name, number in make_data.NUM_DIGITS.items():
        assert np.bincount(parts[name][1], minlength=10).min() > 0.07 * number


@pytest.mark.parametrize('split', CLASSIFICATION)
def test_images_and_labels_are_those_of_the_part(make_data, singles, split):
    strokes, labels = make_data.load_part(split)
    lines = [line.split() for line in (singles / f'{split}.txt').read_text().splitlines()]
    assert [int(label) for _, label in lines] == labels[: CLASSIFICATION[split]].tolist()
    for (name, _), stroke in zip(lines, strokes):
        image = cv2.imread(str(singles / split / name), cv2.IMREAD_GRAYSCALE)
        assert image.shape == (make_data.DIGIT_SIZE, make_data.DIGIT_SIZE)
        # bright strokes on a darker ground, more of them where the digit has more ink
        assert np.ptp(image.astype(int)) > 50 and stroke.max() > 0.5


def test_an_image_shows_its_digit(make_data):
    bar = np.zeros((8, 8), np.float32)
    bar[:, 3:5] = 1
    image = make_data.draw_digit(np.random.default_rng(0), bar)
    rows, columns = np.where(image > 130)
    assert 8 <= np.ptp(rows) + 1 <= 13 and np.ptp(columns) < np.ptp(rows)


def test_choosing_is_done_on_other_digits(make_data, singles, tmp_path):
    chosen = files(classification(make_data, tmp_path, 'choose'))
    for path, content in files(singles).items():
        # the same pictures to learn from, none of the same to test on
        assert (chosen[path] == content) == path.as_posix().startswith('train')
    labels = make_data.load_part('choose')[1][:12]
    assert (tmp_path / 'test.txt').read_text().split()[1::2] == [str(label) for label in labels]


@pytest.mark.parametrize('choose', [False, True])
def test_the_command_shows_the_digits_of_the_table_unless_told(make_data, monkeypatch, tmp_path, choose):
    calls = []
    monkeypatch.setattr(make_data, 'make_classification', lambda *args: calls.append(args[1:]))
    make_data.main(['classification', str(tmp_path), *(['--choose'] if choose else [])])
    assert calls == [('train', 9600, 'train'), ('test', 1796, 'choose' if choose else 'test')]
