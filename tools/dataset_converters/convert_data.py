"""Convert images and labels into what mmpretrain's data sets read; prints the lines for your config.

SOURCE is one of

  all.npz             x_train, y_train, x_test, y_test (or train_images, train_labels, ...)
  train.npz test.npz  each with images, labels (or x, y, ...)
  photos/             train/<class>/*.jpg and val/<class>/*.jpg (or test/)

Arrays of images are uint8 (N, H, W, 3) or (N, H, W), of labels integers (N,) from 0.
"""

import argparse
from pathlib import Path
from typing import Optional, Sequence

from dpk_mm.datasets.convert import ConversionError, read, write
from dpk_mm.utils import cli


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    description, epilog = __doc__.split('\n\n', 1)
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='SOURCE', help='npz file or folder, see below')
    parser.add_argument('test', metavar='TEST', nargs='?', help='npz file to test on, if not in SOURCE')
    parser.add_argument(
        '--to', choices=['cifar100', 'imagenet'], required=True, help='for images of 32x32, or of any size'
    )
    parser.add_argument('--out', required=True, help='folder to write, which must not exist')
    parser.add_argument('--resize', action='store_true', help='scale to 32x32 for cifar100')
    args = parser.parse_args(argv)
    if args.resize and args.to != 'cifar100':
        parser.error('--resize is for --to cifar100')
    return args


def config_lines(target: str, out: str, num_classes: int) -> str:
    """Get the lines of a config that use what was written.

    Args:
        target (str): 'cifar100' or 'imagenet'.
        out (str): The folder that was written.
        num_classes (int): Number of classes.

    Returns:
        str: The lines, on top of mmpretrain's ``cifar100_bs16.py`` or an ``imagenet_bs*.py``.
    """
    kind = "type='dpk_mm.CIFAR100', " if target == 'cifar100' else ''
    dataset = f'dict(dataset=dict({kind}data_root={out!r}, classes={str(Path(out) / "classes.txt")!r}))'
    lines = [
        f'train_dataloader = {dataset}',
        f'val_dataloader = {dataset}',
        'test_dataloader = val_dataloader',
    ]
    if num_classes != (100 if target == 'cifar100' else 1000):
        head = f'head=dict(num_classes={num_classes}{"" if num_classes > 4 else ", topk=(1,)"})'
        lines += [
            f'data_preprocessor = dict(num_classes={num_classes})',
            f'model = dict({head})  # of a classifier: the teacher, the student alone',
            f'# of a distiller: model = dict(student=dict({head}), teacher=dict(config=..., checkpoint=...))',
        ]
        if num_classes < 5:
            lines += ['val_evaluator = dict(topk=(1,))', 'test_evaluator = val_evaluator']
    return '\n'.join(lines)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Convert."""
    args = parse_args(argv)
    try:
        train, test = read(args.source, args.test)
        classes = write(train, test, args.to, args.out, args.resize)
    except (ConversionError, OSError) as error:
        cli.die(str(error))
    counts = f'{len(train.files)} training and {len(test.files)} test images of {len(classes)} classes'
    print(f'{args.out}: {counts}\n\nIn your config:\n')
    print(config_lines(args.to, args.out, len(classes)))


if __name__ == '__main__':
    main()
