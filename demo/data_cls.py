"""A classification data set made from scikit-learn's handwritten digits, with few of them to learn from."""

import functools
from pathlib import Path
from typing import Union

import cv2
import digits
import numpy as np

SIZE = 16
# Parts of the 1,797 digits: 'test' is for the table alone, 'choose' is what settings were chosen with.
NUM_DIGITS = {'train': 300, 'choose': 1048, 'test': 449}
# 32 images of every training digit; 4 of every test digit
NUM_IMAGES = {'train': 9600, 'test': 1796}


def load_digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Load the handwritten digits of one part; a digit belongs to one part only.

    Args:
        part (str): 'train', 'choose' or 'test'.

    Returns:
        tuple: Images (N, 8, 8) in [0, 1], float32, and labels (N,), int64.
    """
    if part == 'test':
        return digits.load_digits('val')
    images, labels = digits.load_digits('train')
    # spread evenly, because neighbours are by one writer
    is_train = np.zeros(len(labels), bool)
    is_train[np.linspace(0, len(labels) - 1, NUM_DIGITS['train']).round().astype(int)] = True
    keep = is_train if part == 'train' else ~is_train
    return images[keep], labels[keep]


def make_image(rng: np.random.Generator, digit: np.ndarray) -> np.ndarray:
    """Draw a digit: its size, turn, place and contrast differ from image to image.

    Args:
        rng (np.random.Generator): Source of every choice.
        digit (np.ndarray): (8, 8) in [0, 1].

    Returns:
        np.ndarray: Grey image (SIZE, SIZE), uint8.
    """
    stroke = digits.draw_stroke(digit, int(rng.integers(9, 14)), float(rng.uniform(-25, 25)))[:, :SIZE]
    height, width = stroke.shape
    y, x = rng.integers(SIZE - height + 1), rng.integers(SIZE - width + 1)
    ink = np.zeros((SIZE, SIZE))
    ink[y : y + height, x : x + width] = stroke
    image = 127 + rng.uniform(60, 110) * (ink - 0.3) + rng.normal(0, 8, ink.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def make_split(root: Path, split: str, num_images: int, tested: str = 'test') -> None:
    """Write the images of one split and their list, as mmpretrain's ``CustomDataset`` reads it.

    Args:
        root (Path): Folder of the data set.
        split (str): 'train' or 'test'.
        num_images (int): Number of images; the digits are drawn in turn.
        tested (str): The part whose digits the test split shows.
    """
    part = 'train' if split == 'train' else tested
    rng = np.random.default_rng([2206, 6067, list(NUM_DIGITS).index(part)])
    strokes, labels = load_digits(part)
    (root / split).mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(num_images):
        index, name = number % len(strokes), f'{number:04d}.png'
        if not cv2.imwrite(str(root / split / name), make_image(rng, strokes[index])):
            raise OSError(f'cannot write {root / split / name}')
        lines.append(f'{name} {labels[index]}\n')
    (root / f'{split}.txt').write_text(''.join(lines))


def make_dataset(
    root: Union[str, Path], num_images: dict[str, int] = NUM_IMAGES, tested: str = 'test'
) -> Path:
    """Make the whole data set, the same on every call, unless it is already there.

    Args:
        root (str or Path): Folder to write to.
        num_images (dict): Number of images of 'train' and 'test'.
        tested (str): Which digits to test with: 'test', or 'choose' to choose settings.

    Returns:
        Path: ``root``, with ``train/``, ``test/``, ``train.txt`` and ``test.txt``.
    """
    make = functools.partial(make_split, tested=tested)
    return digits.make_once(root, num_images, make, size=SIZE, tested=tested)
