"""Write the config of a distillation, with every choice of the method spelled out.

CONFIG is the config you train today. The file that is written inherits it, and mmdet's or mmpretrain's own
tools/train.py trains it. A teacher's path stays relative to the folder you start in.
"""

import argparse
from pathlib import Path
from typing import Optional, Sequence

from dpk_mm.methods.configs import add_distiller, build_blank, config_text, spell_out
from dpk_mm.utils import cli
from dpk_mm.utils.files import write_text


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of the student: a file, or pkg::path')
    parser.add_argument('teacher', help="the teacher: CONFIG:CHECKPOINT, or pkg::path for upstream's weights")
    cli.add_method(parser)
    parser.add_argument('-o', '--out', type=Path, required=True, help='the file to write')
    cli.add_cfg_options(parser, 'override settings before the choice: model.loss_weight=auto')
    return parser.parse_args(argv)


@cli.one_line
def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the file."""
    args = parse_args(argv)
    if args.out.exists():
        cli.die(f'{args.out} exists already')
    cfg = cli.load_config(args.config)
    if not isinstance((cfg.get('model') or {}).get('type', ''), str):
        cli.die(f'{args.config} has a read_base(), which no file here can inherit: take train.py --teacher')
    for key in args.cfg_options or {}:
        if not key.startswith('model.') or key.startswith('model.student'):
            cli.die(f'--cfg-options {key}: only fields of the distiller can be written; change {args.config}')
    add_distiller(cfg, args.teacher, args.method)
    cli.merge_options(cfg, args.cfg_options)
    cfg.model = spell_out(cfg.model, build_blank(cfg))
    method = f' --method {args.method}' if args.method else ''
    options = ''.join(f' {key}={value}' for key, value in (args.cfg_options or {}).items())
    options = f' --cfg-options{options}' if options else ''
    heading = f'Made by tools/make_config.py {args.config} {args.teacher}{method}{options}.'
    write_text(args.out, config_text(cfg, args.config, args.out, heading))
    print(args.out)


if __name__ == '__main__':
    main()
