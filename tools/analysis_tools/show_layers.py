"""List the layers of a model, or of a student and its teacher side by side, with the shapes they give.

The names are what `at`, `student_at` and `teacher_at` of a stage take. Of a distiller's config it shows the
stages, too: what they are made of, and behind each layer's shape which of them read it.
"""

import argparse
from typing import Optional, Sequence

from dpk_mm.analysis.layers import list_layers, models_of, stages_of
from dpk_mm.methods.configs import build_blank
from dpk_mm.methods.image_size import tell_size
from dpk_mm.registry import MODELS
from dpk_mm.utils import cli, is_distiller, load_model_cfg


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
    shape = args.input_shape or (cfg.get('model') or {}).get('input_shape')
    stages = {}
    if is_distiller(cfg) and not args.teacher:
        if args.input_shape:
            cfg.model.input_shape = tuple(args.input_shape)
        tell_size(cfg)
        distiller = build_blank(cfg)
        configs = dict(student=distiller.student, teacher=distiller.teacher.model)
        stages = dict(zip(configs, stages_of(distiller)))
    else:
        configs = models_of(cfg)
    if args.teacher:
        configs['teacher'] = dict(cli.load_config(args.teacher))
    columns = {}
    for heading, config in configs.items():
        own = stages.get(heading, {})
        depth = max([args.depth, *(layer.count('.') + 1 for layer in own)])
        try:
            model = config if stages else MODELS.build(load_model_cfg(config, heading))
            layers = list_layers(model, depth, shape and tuple(shape))
            columns[heading] = {
                layer: f'{text} ({own[layer]})' if layer in own else text
                for layer, text in layers.items()
                if layer.count('.') < args.depth or layer in own
            }
        except (FileNotFoundError, ValueError, ImportError, KeyError, TypeError) as error:
            cli.die(f'{heading}: {error.args[-1]}')
        except RuntimeError as error:  # torch's way to say that a size does not fit
            cli.die(f'{heading} does not run on a blank image of this size, give --input-shape: {error}')
    table = Table('layer', *(columns if len(columns) > 1 else ['channels x height x width']), box=None)
    for layer in dict.fromkeys(name for layers in columns.values() for name in layers):
        table.add_row(layer.replace('[', r'\['), *(layers.get(layer, '-') for layers in columns.values()))
    Console(width=1000, highlight=False).print(table)  # names are never cut: they go into configs


if __name__ == '__main__':
    main()
