"""Masks made of boxes."""

import json

import numpy as np
from PIL import Image


def test_ellipses_fill_boxes_and_the_smallest_is_on_top(make_masks):
    mask = make_masks.draw([[4, 4, 8, 4], [0, 0, 16, 16]], [3, 1], 20, 20)
    assert mask.shape == (20, 20) and mask.dtype == np.uint8
    assert mask[8, 1] == 1 and mask[6, 8] == 3  # the small one within the large one
    assert mask[0, 0] == mask[15, 15] == 255  # the corners of the large box
    assert mask[4, 4] == 1  # a corner of the small box, which the large ellipse covers
    assert (mask[16:] == 0).all() and (mask[:, 16:] == 0).all()
    assert abs((mask == 3).sum() - np.pi * 4 * 2) < 3


def test_both_splits_get_masks_and_lists(make_masks, tmp_path):
    image = dict(id=1, file_name='a.jpg', width=12, height=10)
    content = dict(images=[image], annotations=[dict(image_id=1, bbox=[0, 0, 4, 4], category_id=2)])
    for split in ('train', 'val'):
        (tmp_path / f'{split}.json').write_text(json.dumps(content))
    make_masks.main(['--data', str(tmp_path), '--out', str(tmp_path / 'out')])
    assert (tmp_path / 'out/train.txt').read_text() == 'a\n'
    assert set(np.unique(Image.open(tmp_path / 'out/masks/a.png'))) == {0, 2, 255}
