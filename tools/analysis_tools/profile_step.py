"""Measure what a distillation step costs over its floor, the student's own step and the teacher's forward.

Everything runs in turns on one batch that is made up, so neither data nor checkpoint is needed. The tables
go to OUT/benchmark.md too, all figures to OUT/benchmark.json; docs/benchmark.md says how to read them.
"""

import argparse
import time
from pathlib import Path
from typing import Optional, Sequence

import torch
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dpk_mm.analysis.samples import positive
from dpk_mm.profiling.cost import Task, clock, count_flops, take_turns, time_operators
from dpk_mm.profiling.report import Result
from dpk_mm.profiling.step import WHOLE, Bench
from dpk_mm.utils import cli
from dpk_mm.utils.files import write_json
from dpk_mm.utils.quiet import quiet


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a distiller, or pkg::path such as dpk_mm::dpk/x.py')
    parser.add_argument(
        '--batch-size', type=positive, help="images (default: those of the config's dataloader)"
    )
    shape = "of the images (default: the distiller's input_shape, or 800 1344 for detectors, else 224 224)"
    parser.add_argument('--input-shape', type=positive, nargs=2, metavar=('H', 'W'), help=shape)
    parser.add_argument('--rounds', type=positive, default=10, help='how often all is timed (default: 10)')
    parser.add_argument('--threads', type=positive, default=1, help='processor threads (default: 1)')
    parser.add_argument('--device', help='cpu or cuda (default: cuda if there is one)')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument('--profile', action='store_true', help='tell the whole step by operators, too')
    parser.add_argument('--out', type=Path, help='folder to write (default: work_dirs/benchmark/NAME)')
    cli.add_cfg_options(parser, 'override settings of the config')
    args = parser.parse_args(argv)
    args.out = args.out or Path('work_dirs/benchmark') / Path(args.config.split('::')[-1]).stem
    return args


def check_device(args: argparse.Namespace) -> None:
    """Fill in the device; exits where there is none such."""
    has_cuda = torch.cuda.is_available()
    args.device = args.device or ('cuda' if has_cuda else 'cpu')
    try:
        device = torch.device(args.device)
    except RuntimeError as error:
        cli.die(f'--device {args.device}: {str(error).splitlines()[0]}')
    if device.type not in ('cpu', 'cuda'):
        cli.die(f'--device must be cpu or cuda, got {args.device}')
    if device.type == 'cuda':
        if not has_cuda or (device.index or 0) >= torch.cuda.device_count():
            cli.die(f'--device {args.device}: torch finds no such GPU')
        torch.cuda.set_device(device)
    elif args.amp:
        cli.die('--amp needs a GPU, as mmengine has no mixed precision on a CPU')


def measure(args: argparse.Namespace, progress: Progress) -> Result:
    """Build everything and measure it."""
    cfg = cli.load_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    bar = progress.add_task('building', total=None)
    bench = Bench(cfg, args)
    tasks = bench.tasks()
    with quiet():
        parts = bench.parts()
        for stage, works in parts.items():
            tasks.update({f'{stage}: {part}': _ready(work) for part, work in works.items()})
        progress.update(bar, description='counting', total=len(tasks))
        flops = {}
        for name, task in tasks.items():
            flops[name] = count_flops(task())
            progress.advance(bar)
        progress.update(bar, description='timing', completed=0, total=args.rounds + 1)
        # of a processor, the time that it works for us: what else it does then matters little
        timer = clock if bench.device.type == 'cuda' else time.process_time
        seconds = take_turns(tasks, args.rounds, 1, lambda done: progress.update(bar, completed=done), timer)
        memory, ratios = bench.memory(), bench.ratios()
        operators = time_operators(tasks[WHOLE](), bench.device) if args.profile else {}
    return Result(
        settings=dict(
            config=args.config,
            cfg_options=args.cfg_options,
            batch_size=bench.batch_size,
            input_shape=bench.input_shape,
            rounds=args.rounds,
            threads=args.threads,
            device=_name(bench.device),
            amp=args.amp,
            torch=torch.__version__,
        ),
        seconds=seconds,
        flops=flops,
        parts={stage: list(works) for stage, works in parts.items()},
        memory=memory,
        sizes=bench.sizes(),
        teacher_tokens=ratios,
        operators=operators,
    )


def _ready(work: Task) -> Task:
    """A task that needs nothing to get ready."""
    return lambda: work


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU'


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure and tell."""
    args = parse_args(argv)
    check_device(args)
    with cli.only_one(args.out):
        columns = TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True)) as progress:
            result = measure(args, progress)
        text = result.to_markdown()
        (args.out / 'benchmark.md').write_text(text, encoding='utf-8')
        write_json(args.out / 'benchmark.json', result.to_json())
    print(text)
    print(f'wrote benchmark.md and benchmark.json in {args.out}')


if __name__ == '__main__':
    main()
