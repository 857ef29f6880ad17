"""Make masks of BCCD's boxes, for segmentation.

    python experiments/bccd/prepare.py BCCD_Dataset/BCCD
    python experiments/bccd_seg/make_masks.py

A pixel inside of the ellipse that fills a box has the class of the box. Where ellipses overlap it has the class
of the smallest box. The rest of a box is left out (255), as the box does not say what is there; all else is
background.
"""

import argparse
import json
from pathlib import Path
from typing import Optional, Sequence

import numpy as np
from PIL import Image

IGNORED = 255


def draw(boxes: Sequence[Sequence[float]], classes: Sequence[int], height: int, width: int) -> np.ndarray:
    """Draw the masks of an image.

    Args:
        boxes (Sequence): ``[x, y, w, h]`` in pixels.
        classes (Sequence[int]): Of the boxes, from 1; 0 is background.
        height (int): Of the image, in pixels.
        width (int): Of the image, in pixels.

    Returns:
        np.ndarray: (height, width) uint8.
    """
    mask = np.zeros((height, width), dtype=np.uint8)
    rows, columns = np.mgrid[:height, :width] + 0.5
    order = sorted(range(len(boxes)), key=lambda i: -boxes[i][2] * boxes[i][3])  # the smallest is drawn last
    for value in (lambda i: IGNORED, lambda i: classes[i]):
        for i in order:
            left, top, box_width, box_height = boxes[i]
            across = (columns - left) / box_width * 2 - 1
            down = (rows - top) / box_height * 2 - 1
            is_ellipse = value(i) != IGNORED
            inside = across**2 + down**2 <= 1 if is_ellipse else np.maximum(abs(across), abs(down)) <= 1
            mask[inside] = value(i)
    return mask


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make the masks of both splits, and the lists of their images."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', type=Path, default=Path('data/bccd'), help='default: data/bccd')
    parser.add_argument('--out', type=Path, default=Path('data/bccd_seg'), help='default: data/bccd_seg')
    args = parser.parse_args(argv)
    (args.out / 'masks').mkdir(parents=True, exist_ok=True)
    for split in ('train', 'val'):
        found = json.loads((args.data / f'{split}.json').read_text(encoding='utf-8'))
        names = []
        for image in found['images']:
            own = [item for item in found['annotations'] if item['image_id'] == image['id']]
            boxes, classes = [item['bbox'] for item in own], [item['category_id'] for item in own]
            names.append(Path(image['file_name']).stem)
            mask = draw(boxes, classes, image['height'], image['width'])
            Image.fromarray(mask).save(args.out / f'masks/{names[-1]}.png')
        (args.out / f'{split}.txt').write_text('\n'.join(names) + '\n', encoding='utf-8')
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
