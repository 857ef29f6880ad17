"""A detection data set made from what two registry packages ship: handwritten digits over photographs."""

import json
from pathlib import Path
from typing import Any, Union

import cv2
import numpy as np
from digits import CLASSES, draw_stroke, load_digits, make_once

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
        alpha = draw_stroke(digits[index], height, float(rng.uniform(-20, 20)))
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
    return make_once(root, num_images, make_split, size=SIZE)
