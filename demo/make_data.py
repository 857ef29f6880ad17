"""Make the data of a demo from scikit-learn's handwritten digits, and photographs that two packages ship.

``detection``: digits over photographs, as COCO. ``classification``: one digit an image, and few digits to
learn from, as mmpretrain's ``CustomDataset``. Every call makes the same images; nothing is downloaded.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

CLASSES = tuple(str(digit) for digit in range(10))
# Photographs inside the scikit-image and scikit-learn wheels. A photograph, like a digit, serves one split.
PHOTOS = {
    'train': (
        'astronaut', 'brick', 'china.jpg', 'clock', 'coffee', 'coins', 'grass',
        'hubble_deep_field', 'rocket', 'stereo_motorcycle',
    ),
    'val': ('camera', 'chelsea', 'flower.jpg', 'gravel', 'immunohistochemistry', 'moon'),
}  # fmt: skip
SCENE_SIZE, DIGIT_SIZE = 128, 16
# The 1,797 digits for classification: 'test' is for the table alone, settings were chosen with 'choose'.
NUM_DIGITS = {'train': 300, 'choose': 1048, 'test': 449}
NUM_IMAGES = {
    'detection': {'train': 2400, 'val': 200},
    'classification': {'train': 9600, 'test': 1796},  # 32 of every training digit, 4 of every test digit
}


def load_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Load the handwritten digits of one split: every fourth of the 1,797 is for validation.

    Args:
        split (str): 'train' or 'val'.

    Returns:
        tuple: Images (N, 8, 8) in [0, 1], float32, and labels (N,), int64.
    """
    from sklearn.datasets import load_digits as load

    digits = load()
    is_val = np.arange(len(digits.target)) % 4 == 3
    keep = is_val if split == 'val' else ~is_val
    return (digits.images[keep] / 16).astype(np.float32), digits.target[keep].astype(np.int64)


def load_part(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Load the digits of one part of the classification data, as :func:`load_digits` does.

    Args:
        part (str): 'train', 'choose' or 'test'; a digit belongs to one part only.

    Returns:
        tuple: Images (N, 8, 8) in [0, 1], float32, and labels (N,), int64.
    """
    if part == 'test':
        return load_digits('val')
    images, labels = load_digits('train')
    # spread evenly, because neighbours are by one writer
    is_train = np.zeros(len(labels), bool)
    is_train[np.linspace(0, len(labels) - 1, NUM_DIGITS['train']).round().astype(int)] = True
    keep = is_train if part == 'train' else ~is_train
    return images[keep], labels[keep]


def load_photo(name: str) -> np.ndarray:
    """Load a photograph of ``PHOTOS``: RGB (H, W, 3), uint8."""
    if name.endswith('.jpg'):
        from sklearn.datasets import load_sample_image

        return np.asarray(load_sample_image(name))
    from skimage import data

    photo = getattr(data, name)()
    photo = photo[0] if isinstance(photo, tuple) else photo
    return np.stack([photo] * 3, -1) if photo.ndim == 2 else photo[..., :3]


def draw_stroke(digit: np.ndarray, height: int, angle: float) -> np.ndarray:
    """Draw a digit (8, 8), turned by ``angle`` degrees: opacity (height, width) in [0, 1], float32."""
    big = cv2.resize(np.pad(digit, 1), None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    side = big.shape[0]
    canvas = np.zeros((2 * side, 2 * side), np.float32)
    canvas[side // 2 : side // 2 + side, side // 2 : side // 2 + side] = big
    turn = cv2.getRotationMatrix2D((side, side), angle, 1)
    canvas = cv2.warpAffine(canvas, turn, canvas.shape[::-1], flags=cv2.INTER_LINEAR)
    canvas = np.clip((canvas - 0.25) / 0.35, 0, 1)  # sharpens the blur of the upscaling into a stroke
    rows, cols = np.where(canvas > 0.5)
    canvas = canvas[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
    width = max(2, round(height * canvas.shape[1] / canvas.shape[0]))
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)


def draw_scene(
    rng: np.random.Generator, photos: Sequence[np.ndarray], digits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Paste one to six digits over a crop of a photograph.

    Args:
        rng (np.random.Generator): Source of every choice.
        photos (Sequence[np.ndarray]): RGB photographs (H, W, 3), uint8.
        digits (np.ndarray): Digits (N, 8, 8) in [0, 1].
        labels (np.ndarray): Their classes (N,).

    Returns:
        tuple: The RGB image (128, 128, 3), uint8, and the ``bbox`` (x, y, w, h) and ``label`` of its objects.
    """
    size, photo = SCENE_SIZE, photos[rng.integers(len(photos))]
    side = int(rng.integers(size // 2, min(photo.shape[:2]) + 1))
    top = int(rng.integers(photo.shape[0] - side + 1))
    left = int(rng.integers(photo.shape[1] - side + 1))
    crop = photo[top : top + side, left : left + side]
    # Ten photographs are few: turned, mirrored and recoloured they are more.
    crop = np.rot90(crop[:, :: rng.choice((-1, 1))], rng.integers(4))[..., rng.permutation(3)]
    image = cv2.resize(np.ascontiguousarray(crop), (size, size), interpolation=cv2.INTER_AREA)
    image = (image.astype(np.float32) - 127) * rng.uniform(0.4, 1) + 127 + rng.uniform(-40, 40)

    free = np.ones((size, size), bool)
    objects = []
    for _ in range(int(rng.integers(1, 7))):
        index = int(rng.integers(len(digits)))
        height = round(float(np.exp(rng.uniform(np.log(16), np.log(64)))))
        alpha = draw_stroke(digits[index], height, float(rng.uniform(-20, 20)))
        tint, contrast = rng.uniform(-1, 1, 3), float(rng.uniform(70, 150))
        h, w = alpha.shape
        for _ in range(10):  # tries to find a free place
            x, y = int(rng.integers(1, size - w)), int(rng.integers(1, size - h))
            if free[y : y + h, x : x + w].mean() > 0.95:
                break
        else:
            continue
        patch = image[y : y + h, x : x + w]
        sign = 1 if patch.mean() < 127 else -1  # light on dark, dark on light: always visible
        colour = np.clip(patch.mean((0, 1)) + sign * contrast + 40 * tint, 0, 255)
        image[y : y + h, x : x + w] += alpha[..., None] * (colour - patch)
        free[y : y + h, x : x + w] = False
        objects.append(dict(bbox=[x, y, w, h], label=int(labels[index])))
    image += rng.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), objects


def draw_digit(rng: np.random.Generator, digit: np.ndarray) -> np.ndarray:
    """Draw a digit (8, 8) by itself, (16, 16) and uint8, with a size, turn, place and contrast of its own."""
    size = DIGIT_SIZE
    stroke = draw_stroke(digit, int(rng.integers(9, 14)), float(rng.uniform(-25, 25)))[:, :size]
    height, width = stroke.shape
    y, x = rng.integers(size - height + 1), rng.integers(size - width + 1)
    ink = np.zeros((size, size))
    ink[y : y + height, x : x + width] = stroke
    image = 127 + rng.uniform(60, 110) * (ink - 0.3) + rng.normal(0, 8, ink.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _write_image(path: Path, image: np.ndarray, *settings: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image, settings):
        raise OSError(f'cannot write {path}')


def make_detection(root: Path, split: str, num_images: int) -> None:
    """Write the images of one split, 'train' or 'val', below ``root``, and then its COCO annotation file."""
    rng = np.random.default_rng([2206, 6067, list(PHOTOS).index(split)])
    photos = [load_photo(name) for name in PHOTOS[split]]
    digits, labels = load_digits(split)
    images, annotations = [], []
    for image_id in range(1, num_images + 1):
        image, objects = draw_scene(rng, photos, digits, labels)
        name = f'{image_id:04d}.jpg'
        _write_image(root / split / name, image[..., ::-1], cv2.IMWRITE_JPEG_QUALITY, 95)
        images.append(dict(id=image_id, file_name=name, height=SCENE_SIZE, width=SCENE_SIZE))
        for item in objects:
            place = dict(bbox=item['bbox'], area=item['bbox'][2] * item['bbox'][3], iscrowd=0)
            ids = dict(id=len(annotations) + 1, image_id=image_id, category_id=item['label'])
            annotations.append({**ids, **place})
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES)]
    coco = dict(images=images, annotations=annotations, categories=categories)
    (root / f'{split}.json').write_text(json.dumps(coco))


def make_classification(root: Path, split: str, num_images: int, part: str) -> None:
    """Write the images of one split below ``root``, and then the list of them.

    Args:
        root (Path): Folder of the data set.
        split (str): 'train' or 'test'.
        num_images (int): Number of images; the digits are drawn in turn.
        part (str): Whose digits it shows, of ``NUM_DIGITS``.
    """
    rng = np.random.default_rng([2206, 6067, list(NUM_DIGITS).index(part)])
    strokes, labels = load_part(part)
    lines = []
    for number in range(num_images):
        index, name = number % len(strokes), f'{number:04d}.png'
        _write_image(root / split / name, draw_digit(rng, strokes[index]))
        lines.append(f'{name} {labels[index]}\n')
    (root / f'{split}.txt').write_text(''.join(lines))


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make the data of one demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('demo', choices=NUM_IMAGES)
    parser.add_argument('root', type=Path, help='folder to write to')
    parser.add_argument(
        '--choose', action='store_true', help='classification: test on the digits for choosing settings'
    )
    args = parser.parse_args(argv)
    for split, number in NUM_IMAGES[args.demo].items():
        if args.demo == 'detection':
            make_detection(args.root, split, number)
        else:
            part = 'choose' if args.choose and split == 'test' else split
            make_classification(args.root, split, number, part)


if __name__ == '__main__':
    main()
