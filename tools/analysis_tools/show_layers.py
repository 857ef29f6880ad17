"""List the layers of a model, or of a student and its teacher side by side, with the shapes they give.

The names are what `at`, `student_at` and `teacher_at` of a stage take.
"""

import argparse
from typing import Optional, Sequence

from dpk_mm.analysis.layers import list_layers, models_of
from dpk_mm.registry import MODELS
from dpk_mm.utils import cli, load_model_cfg


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of a model, or of a distiller, whose teacher is shown too')
    parser.add_argument('--teacher', help='config of the teacher')
    parser.add_argument('--depth', type=int, default=2, help="most names in a layer's path (default: 2)")
    parser.add_argument(
        '--input-shape', type=int, nargs=2, metavar=('H', 'W'), help='size of the blank image that is shown'
    )
    return parser.parse_args(argv)


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    args = parse_args(argv)
    cfg = cli.load_config(args.config)
    configs = models_of(cfg)
    shape = args.input_shape or (cfg.get('model') or {}).get('input_shape')
    if args.teacher:
        configs['teacher'] = dict(cli.load_config(args.teacher))
    columns = {}
    for heading, config in configs.items():
        try:
            model = MODELS.build(load_model_cfg(config, heading))
            columns[heading] = list_layers(model, args.depth, shape and tuple(shape))
        except (FileNotFoundError, ValueError, ImportError, KeyError, TypeError) as error:
            cli.die(f'{heading}: {error.args[-1]}')
        except RuntimeError as error:  # torch's way to say that a size does not fit
            cli.die(f'{heading} does not run on a blank image of this size, give --input-shape: {error}')
    table = Table('layer', *(columns if len(columns) > 1 else ['channels x height x width']), box=None)
    for layer in dict.fromkeys(name for layers in columns.values() for name in layers):
        table.add_row(layer.replace('[', r'\['), *(layers.get(layer, '-') for layers in columns.values()))
    Console(width=110, highlight=False).print(table)


if __name__ == '__main__':
    main()
