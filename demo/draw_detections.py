"""The picture of what the detectors of the demo find."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

import numpy as np

# boxes (n, 4) as x1, y1, x2, y2, labels (n,), scores (n,)
Detections = Tuple[np.ndarray, np.ndarray, np.ndarray]


def _overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """IoU of a box (4,) with boxes (n, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    inside = np.clip(high - low, 0, None).prod(-1)
    return inside / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(-1) - inside)


def best_of_each_place(found: Detections, threshold: float) -> Detections:
    """Keep the best detection of each place, of whatever class.

    Args:
        found (tuple): Detections; the detector itself drops overlapping ones of the same class only.
        threshold (float): Lowest score that is kept.

    Returns:
        tuple: Those that overlap no better one by half, best first.
    """
    kept: List[int] = []
    for index in np.argsort(-found[2], kind='stable'):
        if found[2][index] < threshold:
            break
        if not kept or _overlap(found[0][index], found[0][kept]).max() < 0.5:
            kept.append(int(index))
    return tuple(part[kept] for part in found)


def is_right(truth: Detections, found: Detections) -> np.ndarray:
    """Tell which detections find an object, each object being found once.

    Args:
        truth (tuple): Boxes and labels of an image.
        found (tuple): Detections, best first.

    Returns:
        np.ndarray: (n,) bool: the class of an object not found before, at IoU 0.5 or more.
    """
    free = np.ones(len(truth[0]), bool)
    right = np.zeros(len(found[0]), bool)
    for index, (box, label) in enumerate(zip(found[0], found[1])):
        overlap = _overlap(box, truth[0]) * free * (truth[1] == label)
        if overlap.size and overlap.max() >= 0.5:
            right[index], free[overlap.argmax()] = True, False
    return right


def draw_detections(
    images: Sequence[np.ndarray],
    columns: Dict[str, Sequence[Detections]],
    names: Sequence[str],
    path: Union[str, Path],
    threshold: float = 0.3,
) -> None:
    """Draw detections side by side: right ones green, wrong ones red, missed objects dashed.

    Args:
        images (Sequence[np.ndarray]): RGB images (H, W, 3), uint8.
        columns (dict): Title -> detections of every image; the first column is the ground truth.
        names (Sequence[str]): Names of the classes.
        path (str or Path): PNG to write.
        threshold (float): Detections below this score are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    truths = next(iter(columns.values()))
    # two images a row, so that the picture is not a tower
    rows, width = -(-len(images) // 2), 2 * len(columns)
    figure = Figure(figsize=(2.1 * width, 2.15 * rows + 0.6), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, width, squeeze=False)
    for axes in grid.flat:
        axes.axis('off')
    for number, (image, truth) in enumerate(zip(images, truths)):
        row, side = divmod(number, 2)
        for offset, (title, detections) in enumerate(columns.items()):
            axes = grid[row, side * len(columns) + offset]
            if row == 0:
                axes.set_title(title, fontsize=11)
            axes.imshow(image, interpolation='nearest')
            found = best_of_each_place(detections[number], threshold)
            for box, label, right in zip(found[0], found[1], is_right(truth, found)):
                _draw_box(axes, box, names[label], '#00c853' if right else '#ff1744')
            # an object that no detection, right or wrong, lies on
            for box in truth[0]:
                if not len(found[0]) or _overlap(box, found[0]).max() < 0.5:
                    _draw_box(axes, box, '', '#ffd600')
    figure.suptitle(
        f'Score of {threshold} or more, the best of each place. '
        'Green: right class at IoU 0.5; red: wrong; yellow, dashed: missed.',
        fontsize=9,
    )
    figure.savefig(path)


def _draw_box(axes: Any, box: np.ndarray, name: str, colour: str) -> None:
    """Draw a box with its name, or dashed where it has none."""
    from matplotlib.patches import Rectangle

    style = dict(linewidth=1.6) if name else dict(linewidth=1.2, linestyle='--')
    axes.add_patch(Rectangle(box[:2], *(box[2:] - box[:2]), fill=False, edgecolor=colour, **style))
    if name:
        label = dict(facecolor=colour, edgecolor='none', pad=0.8)
        axes.text(*box[:2], name, fontsize=8, color='white', va='bottom', bbox=label)
