import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from dpk_mm.utils import cka_from_hsics, hsics, linear_cka, positions_as_samples

SHAPES = [
    ((4, 7), (4, 3)),
    ((6, 5, 3, 3), (6, 8, 3, 3)),  # n < p
    ((8, 16, 7, 7), (8, 64, 7, 7)),
    ((50, 6), (50, 9)),  # n > p
    ((300, 8), (300, 4)),
    ((20, 4), (20, 60)),  # between the two
]


def reference_hsic(k, l, unbiased):  # noqa: E741
    """HSIC_1 of Song et al. with a loop for every sum; HSIC_0 through the centering matrix."""
    n = len(k)
    if not unbiased:
        h = np.eye(n) - np.ones((n, n)) / n
        return np.trace(k @ h @ l @ h) / (n - 1) ** 2
    k, l = k.copy(), l.copy()  # noqa: E741
    for i in range(n):
        k[i, i] = l[i, i] = 0
    trace = sum(k[i, j] * l[j, i] for i in range(n) for j in range(n))
    sum_k = sum(k[i, j] for i in range(n) for j in range(n))
    sum_l = sum(l[i, j] for i in range(n) for j in range(n))
    one_kl_one = sum(k[:, j].sum() * l[j].sum() for j in range(n))
    value = trace + sum_k * sum_l / ((n - 1) * (n - 2)) - 2 / (n - 2) * one_kl_one
    return value / (n * (n - 3))


def grams(x, y):
    """In float64, of centered features: centering changes no HSIC but spares the sums their digits."""
    for feat in (x, y):
        feat = feat.double().numpy().reshape(len(feat), -1)
        feat = feat - feat.mean(axis=0)
        yield feat @ feat.T


def reference_cka(x, y, unbiased):
    k, l = grams(x, y)  # noqa: E741
    xy, xx, yy = (reference_hsic(*pair, unbiased) for pair in ((k, l), (k, k), (l, l)))
    return xy / np.sqrt(xx * yy)


def related(shape_x, shape_y, seed=0):
    """Two representations of the same few factors, with noise of their own."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.randn(shape_x[0], 3, generator=generator)
    feats = []
    for shape in (shape_x, shape_y):
        features = int(np.prod(shape[1:]))
        mixed = factors @ torch.randn(3, features, generator=generator)
        feats.append((mixed + torch.randn(shape[0], features, generator=generator)).view(shape))
    return feats


@pytest.mark.parametrize('unbiased', [True, False])
@pytest.mark.parametrize('shapes', SHAPES)
def test_float32_agrees_with_float64_reference(shapes, unbiased):
    x, y = related(*shapes)
    result = linear_cka(x, y, unbiased)
    assert result.shape == () and result.dtype == torch.float32
    assert result.item() == pytest.approx(reference_cka(x, y, unbiased), abs=1e-5)


@pytest.mark.parametrize('mean', [10, 1000])
@pytest.mark.parametrize('shapes', SHAPES)
def test_accurate_on_post_relu_features_with_a_large_mean(shapes, mean):
    x, y = (feat.relu() + mean for feat in related(*shapes))
    assert linear_cka(x, y).item() == pytest.approx(reference_cka(x, y, True), abs=1e-5)


@pytest.mark.parametrize('scale', [1e-6, 1e6])
def test_accurate_at_any_scale(scale):
    x, y = related((8, 6, 4, 4), (8, 5, 4, 4))
    assert linear_cka(scale * x, y).item() == pytest.approx(reference_cka(x, y, True), abs=1e-5)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('shapes', SHAPES)
def test_half_precision_input_is_computed_in_float32(shapes, dtype):
    x, y = ((50 * feat).to(dtype) for feat in related(*shapes))  # Gram sums overflow float16
    result = linear_cka(x, y)
    assert result.dtype == torch.float32
    assert result.item() == pytest.approx(reference_cka(x, y, True), abs=1e-5)


@pytest.mark.parametrize('shapes', SHAPES)
def test_autocast_does_not_lower_the_precision(shapes):
    x, y = related(*shapes)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        result = linear_cka(x, y)
    assert torch.equal(result, linear_cka(x, y))


def test_float64_stays_float64():
    x, y = (feat.double() for feat in related((8, 6), (8, 3)))
    result = linear_cka(x, y)
    assert result.dtype == torch.float64
    assert result.item() == pytest.approx(reference_cka(x, y, True), abs=1e-12)


@pytest.mark.parametrize('unbiased', [True, False])
@pytest.mark.parametrize('shape', [(6, 10), (40, 10)])
def test_rotation_scale_and_shift_change_nothing(shape, unbiased):
    x, y = (feat.double() for feat in related(shape, shape))
    rotation = torch.linalg.qr(torch.randn(10, 10, dtype=torch.float64))[0]
    expected = linear_cka(x, y, unbiased)
    assert linear_cka(x @ rotation, y, unbiased).item() == pytest.approx(expected.item())
    assert linear_cka(-3 * x, 0.1 * y + 5, unbiased).item() == pytest.approx(expected.item())
    assert linear_cka(y, x, unbiased).item() == pytest.approx(expected.item())
    assert linear_cka(x, x @ rotation, unbiased).item() == pytest.approx(1)


def test_centering_first_is_no_other_estimator():
    """The formula as it is written, on raw features."""
    x, y = related((7, 5), (7, 4))
    k, l = (feat.double().numpy() @ feat.double().numpy().T for feat in (x + 1, y))  # noqa: E741
    xy, xx, yy = (reference_hsic(*pair, True) for pair in ((k, l), (k, k), (l, l)))
    assert linear_cka(x + 1, y).item() == pytest.approx(xy / np.sqrt(xx * yy), abs=1e-5)


@pytest.mark.parametrize('n', [12, 30])
def test_unrelated_features_are_near_zero_only_without_bias(n):
    torch.manual_seed(0)
    values = [
        [linear_cka(x, y, unbiased).item() for unbiased in (True, False)]
        for x, y in ((torch.randn(n, 2000), torch.randn(n, 2000)) for _ in range(20))
    ]
    unbiased, biased = np.mean(values, axis=0)
    assert abs(unbiased) < 0.1
    assert biased > 0.9


class Largest(TorchDispatchMode):
    """Keeps the size of the largest tensor that is made."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_flatten(result)[0] if isinstance(leaf, torch.Tensor)]
        self.numel = max([self.numel, *sizes])
        return result


@pytest.mark.parametrize('n, p', [(200, 6), (6, 200)], ids=['many samples', 'many features'])
def test_no_matrix_has_the_longer_side_twice(n, p):
    """A map has a hundred thousand positions, and a hundred thousand numbers an image."""
    x, y = related((n, p), (n, p))
    with Largest() as largest:
        linear_cka(x, y)
    assert largest.numel == n * p


@pytest.mark.parametrize('shapes', SHAPES)
def test_hsics_are_the_references_three(shapes):
    x, y = related(*shapes)
    k, l = grams(x, y)  # noqa: E741
    expected = [reference_hsic(a, b, True) for a, b in ((k, l), (k, k), (l, l))]
    result = hsics(x, y)
    assert result.dtype == torch.float64
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5)


def test_summed_hsics_are_the_estimator_for_minibatches():
    batches = [related((6, 5), (6, 7), seed) for seed in range(4)]
    sums = np.zeros(3)
    for x, y in batches:
        k, l = grams(x, y)  # noqa: E741
        sums += [reference_hsic(a, b, True) for a, b in ((k, l), (k, k), (l, l))]
    result = cka_from_hsics(sum(hsics(x, y) for x, y in batches))
    assert result.item() == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]), abs=1e-6)


def test_constant_features_give_nan():
    assert linear_cka(torch.ones(8, 5), torch.randn(8, 5)).isnan()


@pytest.mark.parametrize('unbiased, least, kind', [(True, 4, 'unbiased'), (False, 2, 'biased')])
def test_too_few_samples_are_an_error(unbiased, least, kind):
    message = f'^{kind} CKA needs at least {least} samples, got {least - 1}'
    with pytest.raises(ValueError, match=message):
        linear_cka(torch.rand(least - 1, 9), torch.rand(least - 1, 9), unbiased)
    linear_cka(torch.rand(least, 9), torch.rand(least, 9), unbiased)


def test_different_numbers_of_samples_are_an_error():
    with pytest.raises(ValueError, match='same samples, got 5 and 6'):
        linear_cka(torch.rand(5, 3), torch.rand(6, 3))


@pytest.mark.parametrize('shapes', [((5, 6), (5, 4)), ((7, 2), (7, 3))])
def test_differentiable(shapes):
    x, y = (feat.double().requires_grad_() for feat in related(*shapes))
    assert torch.autograd.gradcheck(lambda a, b: linear_cka(a, b), (x, y))


def test_positions_become_rows_in_order():
    feat = torch.arange(2 * 3 * 2 * 4.0).view(2, 3, 2, 4)
    rows = positions_as_samples(feat)
    assert rows.shape == (16, 3)
    expected = [feat[b, :, i, j] for b in range(2) for i in range(2) for j in range(4)]
    assert torch.equal(rows, torch.stack(expected))


@pytest.mark.parametrize('max_samples', [4, 7, 30, 31])
def test_subsampled_positions_belong_together(max_samples):
    """Maps of other channels, whose values tell where they stand."""
    place = torch.arange(2 * 5 * 3.0).view(2, 1, 5, 3)
    x = positions_as_samples(place.expand(-1, 4, -1, -1), max_samples)
    y = positions_as_samples(place.expand(-1, 9, -1, -1), max_samples)
    assert x.shape == (min(30, max_samples), 4) and y.shape == (min(30, max_samples), 9)
    assert torch.equal(x[:, 0], y[:, 0])
    steps = x[:, 0].diff()
    assert steps.min() >= 1 and steps.max() - steps.min() <= 1  # spread evenly, none twice
    assert (x[:, 0] >= 15).any()  # every image has its share
