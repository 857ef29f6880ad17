"""Write the student of a checkpoint alone: without the modules of training, without optimizers."""

import argparse
from pathlib import Path
from typing import Optional, Sequence

import torch

from dpk_mm.models import SFTN, BaseDistiller
from dpk_mm.utils import cli
from dpk_mm.utils.files import save_checkpoint


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path, help="checkpoint of a distiller's run, or of SFTN's")
    parser.add_argument('out', type=Path, help='file to write; one that exists is refused')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the file, and say how small it is."""
    args = parse_args(argv)
    if args.out.exists():
        cli.die(f'{args.out} exists already')
    cli.check_writable(args.out)
    cli.check_checkpoint(str(args.checkpoint), 'checkpoint')
    with cli.checkpoint_errors(opt_in=None):
        content = torch.load(args.checkpoint, map_location='cpu', weights_only=True)
    weights = content.get('state_dict') if isinstance(content, dict) else None
    if not weights:
        cli.die(f'{args.checkpoint}: no state_dict in it')
    # stock tools read the names of the classes from it, and inferencers the student's config
    meta = content.get('meta') or {}
    wanted = ('dataset_meta', *(('cfg',) if meta.get('plain_cfg') else ()))
    meta = {key: meta[key] for key in wanted if key in meta}
    # a student may have parts called branches, which only SFTN's own are without a distiller
    starts = (f'{BaseDistiller.aux_name}.', f'{SFTN.aux_name}.')
    others = next((start for start in starts if any(key.startswith(start) for key in weights)), ())
    student = {key: value for key, value in weights.items() if not key.startswith(others)}
    save_checkpoint(args.out, dict(state_dict=student, meta=meta))
    before, after = (path.stat().st_size / 1e6 for path in (args.checkpoint, args.out))
    print(f'{args.out}: {len(student)} of {len(weights)} tensors, {after:.1f} of {before:.1f} MB')


if __name__ == '__main__':
    main()
