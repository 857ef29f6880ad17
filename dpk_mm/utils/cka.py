"""Centered kernel alignment with a linear kernel (DPK's measure of the feature gap).

Source: Nguyen, Raghu, Kornblith, ICLR 2021, eq. 2-3 (the unbiased minibatch estimator); the form over
positions, for batches too small for it, and that maps are centred first, are ours.
"""

import torch
from torch import Tensor


def linear_cka(x: Tensor, y: Tensor, unbiased: bool = True) -> Tensor:
    """Linear CKA between two representations of the same n samples.

    Cost: the cheaper of two exact forms, O(n^2 (p + q)) over samples or O(n (p + q)^2) over features,
    for p and q features a sample; never both an (n, n) matrix and a long n.

    Args:
        x (Tensor): (n, ...), any floating dtype; all but the first dimension are flattened.
        y (Tensor): (n, ...), the same n samples in the same order.
        unbiased (bool): HSIC_1 of Song et al., whose diagonal is left out, instead of the biased
            HSIC_0, which tends to 1 where features outnumber samples.

    Returns:
        Tensor: Scalar, float32 (float64 for float64 input). 1 for equal representations up to rotation
        and scale; near 0 for unrelated ones (the unbiased one may be slightly negative); NaN where a
        representation is constant.

    Raises:
        ValueError: Different n, or fewer samples than the estimator needs (4 unbiased, 2 biased).

    Examples:
        >>> x = torch.randn(8, 16, 7, 7)
        >>> round(linear_cka(x, 3 * x).item(), 4)
        1.0
    """
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    return cka_from_hsics(hsics(x, y, unbiased)).to(dtype)


def hsics(x: Tensor, y: Tensor, unbiased: bool = True) -> Tensor:
    """The three HSICs of a linear CKA, kept apart so that minibatches (and ranks) can be summed.

    Args:
        x (Tensor): (n, ...).
        y (Tensor): (n, ...).
        unbiased (bool): As in :func:`linear_cka`.

    Returns:
        Tensor: (3,) float64: HSIC(x, y), HSIC(x, x), HSIC(y, y).

    Raises:
        ValueError: As :func:`linear_cka`.
    """
    n = x.shape[0]
    least = 4 if unbiased else 2
    if y.shape[0] != n:
        raise ValueError(f'x and y must hold the same samples, got {n} and {y.shape[0]}.')
    if n < least:
        kind = 'unbiased' if unbiased else 'biased'
        raise ValueError(f'{kind} CKA needs at least {least} samples, got {n}.')

    with torch.autocast(x.device.type, enabled=False):
        # Centering changes no HSIC, but what is left in float32 is then all signal.
        x, y = _centered(x), _centered(y)
        if n <= max(x.shape[1], y.shape[1]):
            dots, rows_x, rows_y = _over_samples(x, y, unbiased)
        else:
            dots, rows_x, rows_y = _over_features(x, y, unbiased)

    if not unbiased:
        return dots / (n - 1) ** 2
    rows = torch.stack([(rows_x * rows_y).sum(), rows_x.square().sum(), rows_y.square().sum()])
    sum_x, sum_y = rows_x.sum(), rows_y.sum()
    sums = torch.stack([sum_x * sum_y, sum_x.square(), sum_y.square()])
    return (dots + sums / ((n - 1) * (n - 2)) - 2 / (n - 2) * rows) / (n * (n - 3))


def cka_from_hsics(values: Tensor) -> Tensor:
    """CKA from (3,) HSICs of one minibatch, or from their sum over several: scalar."""
    xy, xx, yy = values
    return xy / (xx * yy).sqrt()


def positions_as_samples(feat: Tensor, max_samples: int = 4096) -> Tensor:
    """Rows of a feature map, one for each position: samples for CKA where images are too few.

    Takes every k-th position where there are more than ``max_samples``, always the same ones, so two
    maps of equal (B, H, W) give rows that belong together.

    Args:
        feat (Tensor): (B, C, H, W).
        max_samples (int): Most rows to return.

    Returns:
        Tensor: (min(B * H * W, max_samples), C).
    """
    total = feat.shape[0] * feat.shape[2] * feat.shape[3]
    if total <= max_samples:
        return feat.permute(0, 2, 3, 1).flatten(0, 2)
    index = torch.arange(max_samples, device=feat.device) * total // max_samples
    positions = feat.flatten(2)
    image, position = index // positions.shape[2], index % positions.shape[2]
    # not all rows first, of which a large map has a hundred thousand
    return positions[image, :, position]


def _centered(x: Tensor) -> Tensor:
    """(n, ...) -> (n, p) in float32 (or float64 where it came so), the mean over samples removed."""
    x = x.flatten(1).to(torch.promote_types(x.dtype, torch.float32))
    return x - x.mean(dim=0)


def _over_samples(x: Tensor, y: Tensor, unbiased: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Sums through the (n, n) Gram matrices: cheap where samples are few and features many."""
    k, l = (x @ x.T).double(), (y @ y.T).double()  # noqa: E741  (K and L in the papers)
    if unbiased:
        k.fill_diagonal_(0)
        l.fill_diagonal_(0)
    dots = torch.stack([(k * l).sum(), k.square().sum(), l.square().sum()])
    return dots, k.sum(dim=1), l.sum(dim=1)


def _over_features(x: Tensor, y: Tensor, unbiased: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The same sums through (p, q) cross-products: cheap where samples outnumber features.

    tr(K L) = ||X'Y||_F^2; without the diagonals, sum_i |x_i|^2 |y_i|^2 goes. As rows of a centered Gram
    matrix sum to zero, without the diagonal they sum to -|x_i|^2.
    """
    dots = torch.stack([(a.T @ b).double().square().sum() for a, b in ((x, y), (x, x), (y, y))])
    rows_x, rows_y = -x.double().square().sum(dim=1), -y.double().square().sum(dim=1)
    if unbiased:
        dots = dots - torch.stack([(rows_x * rows_y).sum(), rows_x.square().sum(), rows_y.square().sum()])
    return dots, rows_x, rows_y
