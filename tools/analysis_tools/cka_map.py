"""Draw the CKA between all stages of two models, or of one model at two checkpoints: 1 is alike, 0 is not.

Linear CKA, unbiased minibatch estimator. Samples are images; where a batch has fewer than 4 of them, as
with detectors, the positions of the maps, and A's map is resized to B's as the stages of a distiller do.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from rich.console import Console
from rich.progress import track

from dpk_mm.analysis.cka_map import cka_matrix, draw_map, shared_layers, write_map
from dpk_mm.analysis.models import build_model, check_layers, find_layers, parse_specs
from dpk_mm.analysis.samples import Sample, add_sample_flags
from dpk_mm.analysis.stats import LEAST_SAMPLES
from dpk_mm.utils import cli


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    named = 'CONFIG or CONFIG:CHECKPOINT (a path, a URL, hub); without checkpoint the weights are random'
    parser.add_argument('a', metavar='A', help=f'{named}; its stages are the rows')
    parser.add_argument('b', metavar='B', help='the same; its stages are the columns')
    parser.add_argument('--data', metavar='CONFIG', help="whose validation images to show (default: A's)")
    parser.add_argument('--layers', nargs='+', help='as show_layers.py lists them (default: stages, logits)')
    parser.add_argument('--layers-b', nargs='+', help='those of B, where they have other names')
    parser.add_argument(
        '--out', type=cli.picture, default=Path('cka.png'), help='picture; a CSV goes beside it'
    )
    add_sample_flags(parser, 512, 'data')
    cli.add_trust_flag(parser)
    return parser.parse_args(argv)


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure, draw and tell."""
    args = parse_args(argv)
    specs = parse_specs([args.a, args.b], args.trust_checkpoints)
    whose = args.data or args.a
    cfg = cli.load_config(args.data) if args.data else specs[0].config
    cli.merge_options(cfg, args.cfg_options)
    a, b = models = [build_model(spec) for spec in specs]
    for spec in specs:
        if spec.checkpoint is None:
            print(f'{spec.label}: no checkpoint, random weights as it starts from (seed 0)')
    # the models follow the device of the batches
    sample = Sample(cfg, a, args, whose)
    b.match_input_normalization(sample.preprocessor)
    layers = [args.layers, args.layers_b or args.layers]
    flags = ['--layers', '--layers-b' if args.layers_b else '--layers']
    for i, (spec, model) in enumerate(zip(specs, models)):
        layers[i] = layers[i] or list(find_layers(model.model, sample.input_shape))
        check_layers(spec, model, layers[i], flags[i], sample.input_shape)
    total = -(-len(sample) // sample.batch_size)
    data = track(sample, 'measuring', total=total, console=Console(stderr=True))
    try:
        matrix = cka_matrix(a, b, *layers, data)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    draw_map(matrix, *layers, [spec.label for spec in specs]).savefig(args.out)
    write_map(matrix, *layers, args.out.with_suffix('.csv'))
    for name, value in shared_layers(matrix, *layers).items():
        print(f'{name}: {value:.3f}')
    how = 'positions' if sample.batch_size < LEAST_SAMPLES else 'images'
    print(f'{len(sample)} images, {sample.batch_size} a batch, samples are {how}')
    print(f'wrote {args.out} and {args.out.with_suffix(".csv")}')


if __name__ == '__main__':
    main()
