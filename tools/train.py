"""Train a model, with the flags of mmdet's and mmpretrain's own train.py."""

import argparse
from contextlib import ExitStack
from typing import Optional, Sequence

from mmengine.config import Config

from dpk_mm.methods.configs import add_distiller, dump_choice
from dpk_mm.methods.image_size import tell_size
from dpk_mm.utils import cli


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='config file, or pkg::path such as dpk_mm::dpk/x.py')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    parser.add_argument('--amp', action='store_true', help='train in automatic mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate by the real batch size over the config's base_batch_size",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without one, from the last in the work dir',
    )
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate on the way')
    parser.add_argument(
        '--no-persistent-workers', action='store_true', help='dataloaders keep no workers alive'
    )
    parser.add_argument(
        '--teacher',
        metavar='CONFIG[:CHECKPOINT]',
        help="distil: the config's model learns from this one; without a checkpoint, from upstream's weights",
    )
    cli.add_method(parser)
    cli.add_common_flags(parser)
    return parser.parse_args(argv)


@cli.one_line
def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Merge the command line into the config."""
    if args.teacher is not None:
        try:
            add_distiller(cfg, args.teacher, args.method)
        except ValueError as error:
            cli.die(f'--teacher: {error}')
    elif args.method is not None:
        cli.die('--method needs --teacher; in the config of a distiller it is model.method')
    # the checkpoints of the student alone stay
    cli.merge_common(cfg, args, f'_{args.method or "dpk"}' if args.teacher is not None else '')
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        cli.enable_amp(cfg)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            cli.die('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
        cfg.auto_scale_lr.enable = True
    args.start = cfg.get('load_from')  # where there is nothing to go on from
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    cli.fill_dataloaders(
        cfg,
        ('train_dataloader', 'val_dataloader', 'test_dataloader'),
        args.no_pin_memory,
        args.no_persistent_workers,
    )
    return cfg


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Train."""
    args = parse_args(argv)
    cfg = merge_args(cli.load_config(args.config), args)
    cli.launch_on_cpu(cfg)
    cli.check_config(cfg)
    cli.check_start(cfg)
    tell_size(cfg)
    cli.save_safely(cfg)
    with ExitStack() as stack:
        cli.keep_work_dir(stack, cfg)
        runner = cli.build_runner(cfg)
        cli.choose_checkpoint(runner, args.start)
        dump_choice(runner)
        cli.build_parts(runner)
        with cli.checkpoint_errors():
            runner.train()


if __name__ == '__main__':
    main()
