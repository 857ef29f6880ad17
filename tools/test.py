"""Test a checkpoint, with upstream's own flags: of a distiller the student alone, of SFTN the teacher."""

import argparse
from collections.abc import Sequence
from typing import Optional

import mmengine
from mmengine.config import Config
from mmengine.evaluator import DumpResults

from dpk_mm.utils import cli, main_model_cfg
from dpk_mm.utils.tta import add_tta


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test (and evaluate) a model')
    parser.add_argument('config', help='config file, or pkg::path such as dpk_mm::dpk/x.py')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder of the log and the metrics')
    parser.add_argument('--out', type=cli.output, help='file for the predictions, or the metrics')
    parser.add_argument('--out-item', choices=['metrics', 'pred'], default='pred', help='what --out saves')
    parser.add_argument('--amp', action='store_true', help='test in automatic mixed precision')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder, in the work dir, of painted predictions')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds to show one')
    parser.add_argument('--interval', type=int, help='show one in so many')
    parser.add_argument('--tta', action='store_true', help='augment at test time')
    cli.add_common_flags(parser)
    args = parser.parse_args(argv)
    kinds = ['.pkl', '.pickle', *(['.json', '.yml'] if args.out_item == 'metrics' else [])]
    if args.out and args.out.suffix not in kinds:
        parser.error(f'--out must end with {" or ".join(kinds)}, got {args.out}')
    return args


@cli.one_line
def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Merge the command line into the config."""
    cli.merge_common(cfg, args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if cfg.pop('strategy', None) is not None:  # of the training
        cfg.pop('runner_type', None)
    cfg.model = main_model_cfg(cfg)
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir:
        show(cfg, args)
    if args.tta:
        add_tta(cfg)
    cli.fill_dataloaders(cfg, ('test_dataloader',), args.no_pin_memory)
    return cfg


def show(cfg: Config, args: argparse.Namespace) -> None:
    """Turn on the hook that paints predictions; the packages name its settings apart."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        cli.die('--show needs a visualization hook in default_hooks')
    scope = cfg.get('default_scope')
    paints = 'enable' if scope == 'mmpretrain' else 'draw'
    hook.update({paints: True, 'show': args.show, 'wait_time': args.wait_time})
    if args.show_dir and scope == 'mmseg':
        cfg.visualizer.save_dir = args.show_dir
    elif args.show_dir:
        hook['test_out_dir' if scope == 'mmdet' else 'out_dir'] = args.show_dir
    if args.interval is not None:
        hook.interval = args.interval


def dump_metric(cfg: Config, path: str) -> DumpResults:
    """Get the metric that saves predictions."""
    if cfg.get('default_scope') == 'mmdet':
        from mmdet.evaluation import DumpDetResults

        return DumpDetResults(out_file_path=path)
    return DumpResults(out_file_path=path)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Test."""
    args = parse_args(argv)
    cfg = merge_args(cli.load_config(args.config), args)
    cli.check_checkpoint(cfg.load_from, 'checkpoint')
    cli.launch_on_cpu(cfg)
    cli.check_config(cfg, training=False)
    cli.keep_dumped_config(cfg)
    with cli.checkpoint_errors():
        runner = cli.build_runner(cfg)
        cli.build_test(runner)
        if args.out and args.out_item == 'pred':
            runner.test_evaluator.metrics.append(dump_metric(cfg, str(args.out)))
        metrics = runner.test()
    if args.out and args.out_item == 'metrics':
        mmengine.dump(metrics, str(args.out))


if __name__ == '__main__':
    main()
