"""What the demos' commands share."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Dict, List, Optional

import inference
import pool
from torch import nn

from dpk_mm.compare import training
from dpk_mm.utils import text as report


def make_parser(description: str, work_dir: str, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """Make the command line of a demo.

    Args:
        description (str): What the demo does.
        work_dir (str): Where it writes by default.
        seeds (Sequence[int]): Seeds by default.

    Returns:
        argparse.ArgumentParser: A parser, to which a demo adds its own options.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--seeds', type=int, nargs='+', default=seeds, help='train each student once a seed')
    parser.add_argument('--work-dir', type=Path, default=Path(work_dir))
    parser.add_argument('--epochs', type=int, help="length of the schedule, instead of the config's")
    parser.add_argument('--workers', type=int, default=pool.default_workers(), help='trainings at once')
    return parser


def make_jobs(
    name: str,
    config: Path,
    plain_config: Path,
    data_root: Path,
    args: argparse.Namespace,
    options: Optional[Dict[str, Any]] = None,
) -> List[pool.Job]:
    """Make the jobs that train one model once a seed.

    Args:
        name (str): Of the model.
        config (Path): To train with.
        plain_config (Path): To test with: every checkpoint, DPK's too, opens as the plain model that it is.
        data_root (Path): Folder of the data.
        args (argparse.Namespace): Of :func:`make_parser`.
        options (dict, optional): More to set in ``config``.

    Returns:
        list[pool.Job]: One a seed.
    """
    return [
        pool.Job(
            name if len(args.seeds) == 1 else f'{name} ({seed})',
            config,
            plain_config,
            data_root,
            args.work_dir / f'seed_{seed}' / config.stem,
            seed,
            args.epochs,
            options or {},
        )
        for seed in args.seeds
    ]


def add_times(
    rows: Dict[str, List[Dict[str, Any]]],
    plain_configs: Dict[str, Path],
    data_root: Path,
    args: argparse.Namespace,
) -> Dict[str, nn.Module]:
    """Add the time of an image, ``ms``, to every result.

    Args:
        rows (dict): Model -> its results, one a seed; they are changed.
        plain_configs (dict): Model -> the config that opens its checkpoints.
        data_root (Path): Folder of the data.
        args (argparse.Namespace): Of :func:`make_parser`.

    Returns:
        dict: Model -> the model of the first seed.
    """
    models = {}
    for name, results in rows.items():
        cfg = training.load_config(plain_configs[name], data_root, args.work_dir, 0)
        models[name] = inference.load_model(cfg, results[0]['checkpoint'])
        # the same for all seeds of a model
        ms = inference.milliseconds(models[name], inference.load_test_set(cfg))
        for result in results:
            result['ms'] = ms
    return models


def write_results(
    rows: Dict[str, List[Dict[str, Any]]], columns: report.Columns, args: argparse.Namespace
) -> str:
    """Write ``table.md`` and ``results.json`` to the work dir.

    Args:
        rows (dict): As for :func:`dpk_mm.utils.text.make_table`.
        columns (dict): As for :func:`dpk_mm.utils.text.make_table`.
        args (argparse.Namespace): Of :func:`make_parser`.

    Returns:
        str: The table, with one of every seed below it where there are several.
    """
    table = report.make_table(rows, columns)
    if len(args.seeds) > 1:
        table += '\n\n' + report.make_seed_table(rows, columns, args.seeds)
    (args.work_dir / 'table.md').write_text(table + '\n', encoding='utf-8')
    content = json.dumps(dict(seeds=list(args.seeds), rows=rows), indent=1)
    (args.work_dir / 'results.json').write_text(content, encoding='utf-8')
    return table
