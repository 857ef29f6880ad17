r"""Convert a CIFAR network of RepDistiller or mdistiller, such as a published teacher, for a config of ours.

  python tools/model_converters/repdistiller2dpk_mm.py configs/dpk/cifar100/resnet56_cifar100.py \
    resnet56_vanilla/ckpt_epoch_240.pth work_dirs/resnet56_cifar100/epoch_240.pth

ResNets, WRNs, VGGs with batch norm and ShuffleNets give the same logits as before. A MobileNetV2 is another
network there and is refused.
"""

import argparse
from pathlib import Path
from typing import Optional, Sequence

from dpk_mm.registry import MODELS
from dpk_mm.utils import cli, load_model_cfg, load_weights, main_field
from dpk_mm.utils.files import check_writable, save_checkpoint
from dpk_mm.utils.runner import type_name


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the file, and say what was done."""
    description, epilog = __doc__.split('\n\n', 1)
    parser = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', metavar='CONFIG', help='config of the same network alone')
    parser.add_argument('source', metavar='SOURCE', help='their checkpoint: a path or a URL')
    parser.add_argument('out', metavar='OUT', type=Path, help='file to write; one that exists is refused')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='also open a SOURCE that can run code, as *_last.pth can',
    )
    args = parser.parse_args(argv)
    if args.out.exists():
        cli.die(f'OUT={str(args.out)!r} exists already')
    check_writable(args.out)
    try:
        from dpk_mm.models.backbones import convert_repdistiller
    except Exception as error:  # whatever mmpretrain raises beside packages that it does not know
        cli.die(f'the networks need mmpretrain, which does not import here ({type(error).__name__}: {error})')
    cfg = load_model_cfg(args.config, 'CONFIG')
    if main_field(cfg) is not None:
        raise ValueError(f'CONFIG={args.config!r} is of a {type_name(cfg)}, not of a network alone.')
    try:
        weights = load_weights(args.source, args.trust_checkpoint, 'SOURCE')
    except ValueError as error:
        cli.die(str(error).replace('set trust_checkpoint=True', 'pass --trust-checkpoint'))
    converted = convert_repdistiller(weights, MODELS.build(cfg))
    save_checkpoint(args.out, dict(state_dict=converted, meta={}))
    print(f'{args.out}: {len(converted)} tensors, from all {len(weights)} of {args.source}')


if __name__ == '__main__':
    main()
