"""Resizing one map to another."""

import pytest
import torch

from dpk_mm.utils import resize_like


@pytest.mark.parametrize(
    'values, size, expected',
    [
        # the corners stay, the others lie evenly between them
        ([0.0, 3], 4, [0, 1, 2, 3]),
        ([0.0, 2, 8], 5, [0, 1, 2, 5, 8]),
        ([0.0, 1, 2, 3, 4], 3, [0, 2, 4]),
        ([0.0, 1, 5], 2, [0, 5]),
        ([7.0, 1, 5], 1, [7]),
    ],
)
def test_corners_are_kept(values, size, expected):
    row = torch.tensor(values)
    for feat, other in ((row.view(1, 1, 1, -1), (1, size)), (row.view(1, 1, -1, 1), (size, 1))):
        resized = resize_like(feat, torch.empty(1, 9, *other))
        assert resized.flatten().tolist() == expected


def test_what_fits_is_returned_as_it_is():
    for size in ((4, 5), ()):  # maps and logits
        feat = torch.rand(2, 3, *size)
        assert resize_like(feat, torch.rand(2, 7, *size)) is feat
