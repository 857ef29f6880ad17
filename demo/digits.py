"""What the data sets of the demos share: scikit-learn's handwritten digits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

import cv2
import numpy as np

CLASSES = tuple(str(digit) for digit in range(10))


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


def draw_stroke(digit: np.ndarray, height: int, angle: float) -> np.ndarray:
    """Draw a digit as an opacity map, cut tight.

    Args:
        digit (np.ndarray): (8, 8) in [0, 1].
        height (int): Of the map, in pixels.
        angle (float): How far the digit is turned, in degrees.

    Returns:
        np.ndarray: (height, width) in [0, 1], float32.
    """
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


def make_once(
    root: Union[str, Path],
    num_images: dict[str, int],
    make: Callable[[Path, str, int], None],
    **settings: Any,
) -> Path:
    """Make a data set, unless this very one is already there.

    Args:
        root (str or Path): Folder to write to.
        num_images (dict): Number of images of every split.
        make (Callable): Makes one split; called with ``root``, its name and its number of images.
        **settings: What else the images depend on.

    Returns:
        Path: ``root``.
    """
    root = Path(root)
    # written last: a run that was stopped half-way is done again
    done = root / 'done.json'
    stamp = json.dumps(dict(version=1, **settings, num_images=num_images))
    if not (done.is_file() and done.read_text() == stamp):
        for split, number in num_images.items():
            make(root, split, number)
        done.write_text(stamp)
    return root
