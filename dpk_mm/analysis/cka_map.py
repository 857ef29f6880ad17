"""The CKA between all pairs of layers of two models, and its picture."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dpk_mm.analysis.samples import Batch
from dpk_mm.analysis.stats import LEAST_SAMPLES, pair_hsics
from dpk_mm.models import FrozenTeacher
from dpk_mm.utils import cka_from_hsics
from dpk_mm.utils.plots import new_figure

# More cells than this are too small to write their values in.
_MOST_WRITTEN = 225


def compact_samples(x: Tensor) -> Tensor:
    """The features of n samples in n dimensions, which changes no CKA with others.

    A linear kernel sees inner products alone, and those of the factor R of x = QR are those of x. So the
    length of the features is paid once a layer, not once a pair.

    Args:
        x (Tensor): (n, ...).

    Returns:
        Tensor: (n, p), p at most n, float32.
    """
    x = x.flatten(1).float()
    x = x - x.mean(dim=0)
    return x if x.shape[1] <= x.shape[0] else torch.linalg.qr(x.T, mode='r').R.T


def hsics_of_batch(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """The HSICs of all pairs.

    Args:
        x (Sequence[Tensor]): A's layers, (B, C, H, W) or (B, K) each.
        y (Sequence[Tensor]): B's.

    Returns:
        Tensor: (len(x), len(y), 3), see :func:`pair_hsics`.
    """
    by_positions = len(x[0]) < LEAST_SAMPLES
    if not by_positions:
        x, y = map(compact_samples, x), list(map(compact_samples, y))
    return torch.stack([torch.stack([pair_hsics(own, other, by_positions) for other in y]) for own in x])


def cka_matrix(
    a: FrozenTeacher,
    b: FrozenTeacher,
    layers_a: Sequence[str],
    layers_b: Sequence[str],
    data: Iterable[Batch],
) -> np.ndarray:
    """Measure CKA between all pairs of layers, the HSICs summed over batches.

    Args:
        a (FrozenTeacher): The model of the rows.
        b (FrozenTeacher): The model of the columns.
        layers_a (Sequence[str]): Taps of ``a``.
        layers_b (Sequence[str]): Taps of ``b``.
        data (Iterable): Batches of A's preprocessor.

    Returns:
        ndarray: (len(layers_a), len(layers_b)) float64; NaN where it is undefined.
    """
    total = torch.zeros(len(layers_a), len(layers_b), 3, dtype=torch.float64)
    for inputs, samples in data:
        x, y = a(inputs, layers_a, samples), b(inputs, layers_b, samples)
        total += hsics_of_batch([x[layer] for layer in layers_a], [y[layer] for layer in layers_b])
    return np.array([[cka_from_hsics(values).item() for values in row] for row in total])


def draw_map(matrix: np.ndarray, rows: Sequence[str], columns: Sequence[str], labels: Sequence[str]) -> Any:
    """Draw the heat map, first layers at the bottom left.

    Args:
        matrix (ndarray): (len(rows), len(columns)).
        rows (Sequence[str]): Layers of A.
        columns (Sequence[str]): Layers of B.
        labels (Sequence[str]): Names of A and B.

    Returns:
        matplotlib.figure.Figure: The picture.
    """
    from matplotlib import colormaps

    is_written = matrix.size <= _MOST_WRITTEN
    side = 0.55 if is_written else 0.3
    size = max(4.2, side * len(columns) + 2.6), max(3.4, side * len(rows) + 1.8)
    figure = new_figure(*size)
    axes = figure.subplots()
    colours = colormaps['viridis'].with_extremes(bad='#dddddd')
    image = axes.imshow(matrix, vmin=0, vmax=1, cmap=colours, origin='lower', aspect='auto')
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha='right', rotation_mode='anchor', fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xlabel(labels[1])
    axes.set_ylabel(labels[0])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(matrix) if is_written else ():
        # dark on light: viridis is light where CKA is high
        colour = 'black' if not value < 0.6 else 'white'
        text = f'{value:.2f}'.replace('-0.00', '0.00') if np.isfinite(value) else '-'
        axes.text(j, i, text, ha='center', va='center', fontsize=8, color=colour)
    axes.set_title('How alike are the layers? 1: the same but for a rotation, 0: unrelated', fontsize=9)
    # the unbiased estimate of unrelated layers may lie below 0
    figure.colorbar(image, label='CKA', extend='min' if np.nanmin(matrix, initial=0) < 0 else 'neither')
    return figure


def write_map(matrix: np.ndarray, rows: Sequence[str], columns: Sequence[str], path: Path) -> None:
    """Write one line for each layer of A, in full precision."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['layer', *columns])
        for name, values in zip(rows, matrix):
            writer.writerow([name, *(repr(float(value)) for value in values)])


def shared_layers(matrix: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> dict[str, float]:
    """CKA of the layers that both models have under one name."""
    return {name: float(matrix[rows.index(name), columns.index(name)]) for name in rows if name in columns}
