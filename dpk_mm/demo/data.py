"""A detection data set made from what two registry packages ship: handwritten digits over photographs."""

import json
from pathlib import Path
from typing import Any, Union

import cv2
import numpy as np

CLASSES = tuple(str(digit) for digit in range(10))
SIZE = 128
# Photographs inside the scikit-image and scikit-learn wheels: nothing is downloaded. A photograph,
# like a digit, serves one split only.
PHOTOS = {
    'train': (
        'astronaut', 'brick', 'china.jpg', 'clock', 'coffee', 'coins', 'grass',
        'hubble_deep_field', 'rocket', 'stereo_motorcycle',
    ),
    'val': ('camera', 'chelsea', 'flower.jpg', 'gravel', 'immunohistochemistry', 'moon'),
}  # fmt: skip
NUM_IMAGES = {'train': 2400, 'val': 200}


def load_photo(name: str) -> np.ndarray:
    """Load one bundled photograph.

    Args:
        name (str): A name in ``PHOTOS``.

    Returns:
        np.ndarray: RGB image, (H, W, 3), uint8.
    """
    if name.endswith('.jpg'):
        from sklearn.datasets import load_sample_image

        return np.asarray(load_sample_image(name))
    from skimage import data

    photo = getattr(data, name)()
    photo = photo[0] if isinstance(photo, tuple) else photo
    return np.stack([photo] * 3, -1) if photo.ndim == 2 else photo[..., :3]


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


def _stroke(digit: np.ndarray, height: int, angle: float) -> np.ndarray:
    """Draw a digit as an opacity map ``height`` pixels high, turned by ``angle`` degrees and cut tight."""
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


def make_scene(
    rng: np.random.Generator, photos: list[np.ndarray], digits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Paste one to six digits over a crop of a photograph.

    Args:
        rng (np.random.Generator): Source of every choice.
        photos (list[np.ndarray]): RGB photographs (H, W, 3), uint8.
        digits (np.ndarray): Digits (N, 8, 8) in [0, 1].
        labels (np.ndarray): Their classes (N,).

    Returns:
        tuple: The RGB image (SIZE, SIZE, 3), uint8, and its objects, a list of dicts with ``bbox``
        (x, y, w, h) and ``label``.
    """
    photo = photos[rng.integers(len(photos))]
    side = int(rng.integers(SIZE // 2, min(photo.shape[:2]) + 1))
    top = int(rng.integers(photo.shape[0] - side + 1))
    left = int(rng.integers(photo.shape[1] - side + 1))
    crop = photo[top : top + side, left : left + side]
    # Ten photographs are few: turned, mirrored and recoloured they are more.
    crop = np.rot90(crop[:, :: rng.choice((-1, 1))], rng.integers(4))[..., rng.permutation(3)]
    image = cv2.resize(np.ascontiguousarray(crop), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    image = (image.astype(np.float32) - 127) * rng.uniform(0.4, 1) + 127 + rng.uniform(-40, 40)

    free = np.ones((SIZE, SIZE), bool)
    objects = []
    for _ in range(int(rng.integers(1, 7))):
        index = int(rng.integers(len(digits)))
        height = round(float(np.exp(rng.uniform(np.log(16), np.log(64)))))
        alpha = _stroke(digits[index], height, float(rng.uniform(-20, 20)))
        tint, contrast = rng.uniform(-1, 1, 3), float(rng.uniform(70, 150))
        h, w = alpha.shape
        for _ in range(10):  # tries to find a free place
            x, y = int(rng.integers(1, SIZE - w)), int(rng.integers(1, SIZE - h))
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


def make_split(root: Path, split: str, num_images: int) -> None:
    """Write the images of one split and its COCO annotation file.

    Args:
        root (Path): Folder of the data set.
        split (str): 'train' or 'val'.
        num_images (int): Number of images.
    """
    rng = np.random.default_rng([2206, 6067, list(PHOTOS).index(split)])
    photos = [load_photo(name) for name in PHOTOS[split]]
    digits, labels = load_digits(split)
    (root / split).mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for image_id in range(1, num_images + 1):
        image, objects = make_scene(rng, photos, digits, labels)
        name = f'{image_id:04d}.jpg'
        if not cv2.imwrite(str(root / split / name), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95]):
            raise OSError(f'cannot write {root / split / name}')
        images.append(dict(id=image_id, file_name=name, height=SIZE, width=SIZE))
        for item in objects:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=item['label'],
                    bbox=item['bbox'],
                    area=item['bbox'][2] * item['bbox'][3],
                    iscrowd=0,
                )
            )
    coco = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES)],
    )
    (root / f'{split}.json').write_text(json.dumps(coco))


def make_dataset(root: Union[str, Path], num_images: dict[str, int] = NUM_IMAGES) -> Path:
    """Make the whole data set, the same on every call, unless it is already there.

    Args:
        root (str or Path): Folder to write to.
        num_images (dict): Number of images of 'train' and 'val'.

    Returns:
        Path: ``root``, with ``train/``, ``val/``, ``train.json`` and ``val.json``.
    """
    root = Path(root)
    # written last: a run that was stopped half-way is done again
    done = root / 'done.json'
    stamp = json.dumps(dict(version=1, size=SIZE, num_images=num_images))
    if not (done.is_file() and done.read_text() == stamp):
        for split, number in num_images.items():
            make_split(root, split, number)
        done.write_text(stamp)
    return root
