"""Bring BCCD and an ImageNet MobileNetV2 to where experiments/bccd/configs looks for them.

    git clone https://github.com/Shenggan/BCCD_Dataset
    python experiments/bccd/prepare.py BCCD_Dataset/BCCD

The annotations become COCO's, 292 images to train on and 72 to test on, as the data set splits them. The
weights are torchvision's (IMAGENET1K_V1, 14 MB, fetched unless its cache has them) by MMPretrain's names.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Dict, List, Optional, Sequence
from xml.etree import ElementTree

import torch
from mmpretrain.models import MobileNetV2
from torchvision.models import mobilenet_v2

CLASSES = ('RBC', 'WBC', 'Platelets')
SPLITS = {'train.json': 'trainval.txt', 'val.json': 'test.txt'}


def to_coco(folder: Path, names: Sequence[str]) -> dict:
    """Read annotations of Pascal VOC's form.

    Args:
        folder (Path): Has ``Annotations/NAME.xml``.
        names (Sequence[str]): Of the images, without ending.

    Returns:
        dict: As COCO's files; boxes ``[x, y, w, h]`` in pixels, all counted from 1.
    """
    images: List[dict] = []
    annotations: List[dict] = []
    for image_id, name in enumerate(names, 1):
        root = ElementTree.parse(folder / f'Annotations/{name}.xml').getroot()
        size = {side: int(root.find(f'size/{side}').text) for side in ('width', 'height')}
        images.append(dict(id=image_id, file_name=f'{name}.jpg', **size))
        for item in root.iter('object'):
            box = item.find('bndbox')
            left, top, right, bottom = (
                float(box.find(side).text) for side in ('xmin', 'ymin', 'xmax', 'ymax')
            )
            width, height = right - left, bottom - top
            if width <= 0 or height <= 0:  # there are two
                continue
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=CLASSES.index(item.find('name').text) + 1,
                    bbox=[left, top, width, height],
                    area=width * height,
                    iscrowd=0,
                )
            )
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES, 1)]
    return dict(images=images, annotations=annotations, categories=categories)


def to_mmpretrain(weights: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Rename torchvision's MobileNetV2, whose layers stand in the same order.

    Args:
        weights (dict): Its state dict.

    Returns:
        dict: That of a classifier of MMPretrain.

    Raises:
        ValueError: It has another number of layers.
    """
    names = [*(f'backbone.{name}' for name in MobileNetV2().state_dict()), 'head.fc.weight', 'head.fc.bias']
    if len(names) != len(weights):
        raise ValueError(f'a MobileNetV2 has {len(names)} tensors, got {len(weights)}')
    return dict(zip(names, weights.values()))


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Prepare both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, metavar='BCCD', help='folder with Annotations and JPEGImages')
    parser.add_argument('--out', type=Path, default=Path('data'), help='default: data')
    args = parser.parse_args(argv)
    images = args.out / 'bccd/images'
    images.mkdir(parents=True, exist_ok=True)
    for file, split in SPLITS.items():
        names = (args.source / 'ImageSets/Main' / split).read_text(encoding='utf-8').split()
        (images.parent / file).write_text(json.dumps(to_coco(args.source, names)), encoding='utf-8')
        for name in names:
            shutil.copy(args.source / f'JPEGImages/{name}.jpg', images)
    path = args.out / 'mobilenet_v2_imagenet/mobilenet_v2_mmpretrain.pth'
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = mobilenet_v2(weights='IMAGENET1K_V1').state_dict()
    torch.save(dict(state_dict=to_mmpretrain(weights)), path)
    print(f'wrote {images.parent} and {path}')


if __name__ == '__main__':
    main()
