"""The tables of what distillation costs: a step, memory, traffic, and beside mmrazor."""

import functools
import itertools
import json
from typing import Any, Callable, Dict, List, Sequence

from study import EXPERIMENTS, read_lines

from dpk_mm.utils.text import markdown


def _read_json(name: str) -> Dict[str, Any]:
    return json.loads((EXPERIMENTS / name).read_text(encoding='utf-8'))


def _sum(run: Dict[str, Any], key: str, parts: Sequence[str]) -> float:
    """Seconds or FLOPs of all stages' parts whose names end so."""
    return sum(
        cost[key]
        for stage in run['parts'].values()
        for part, cost in stage.items()
        if part.endswith(tuple(parts))
    )


def _speed() -> str:
    rows = []
    for pair in (
        'resnet34_resnet18',
        'resnet34_resnet18_lean',
        'retinanet_r101_r50',
        'retinanet_r101_r50_lean',
    ):
        name = pair + ('_in1k' if pair.startswith('resnet') else '_coco')
        run = _read_json(f'speed/{name}.json')
        whole, rounds = run['median_seconds']['whole'], run['ratio_of_rounds']
        ours = _sum(run, 'seconds', ('prior', 'mask, gather, stitch', 'loss'))
        rows.append([
            f'`{name}`', f'{run["floor"]["seconds"]:.2f}', f'**{run["ratio"]:.3f}**',
            f'{min(rounds):.3f} to {max(rounds):.3f}', f'{run["arithmetic_ratio"]:.3f}',
            f'{run["ratio_over_arithmetic"]:.3f}', f'{100 * ours / whole:.1f} %',
            f'{100 * run["optimizer_beyond_student_seconds"] / whole:.1f} %',
        ])  # fmt: skip
    head = ['', 'floor, s', 'whole step, over the floor', 'rounds', 'by arithmetic', 'ours / arithmetic']
    return markdown([*head, 'CKA, mask, gather, stitch, loss', 'optimizer'], rows)


def _speed_parts() -> str:
    rows = []
    for name in ('resnet34_resnet18_in1k', 'retinanet_r101_r50_coco'):
        run = _read_json(f'speed/{name}.json')
        kinds = [
            [_sum(run, key, [part]) for key in ('seconds', 'flops')]
            for part in ('stem and encoder', 'decoder and head')
        ]
        kinds.insert(0, [run['floor'][key] for key in ('seconds', 'flops')])
        cells = [f'{1e3 * seconds:,.0f}, {flops / seconds / 1e9:.0f}' for seconds, flops in kinds]
        rest = [f'{1e3 * run[f"{key}_seconds"]:.0f}' for key in ('optimizer_beyond_student', 'remainder')]
        rows.append([f'`{name}`', *cells, *rest])
    head = ['', 'student and teacher', 'encoders', 'decoders and heads', 'optimizer', 'what is left']
    return markdown(head, rows)


def _gpu() -> str:
    rows = []
    for line in (EXPERIMENTS / 'gpu/results/step_costs_h200.jsonl').read_text(encoding='utf-8').splitlines():
        run = json.loads(line)
        precision = run['precision'] + (', compiled teacher' if run['compiled_teacher'] else '')
        about = [run['model'], run['necks'], precision]
        if 'error' in run:
            rows.append([*about, *['failed'] * 6])
            continue
        times = {name: f'{1e3 * seconds:.0f}' for name, seconds in run['seconds'].items()}
        low, high = (f'{1e3 * seconds:.0f}' for seconds in run['spread']['step'])
        rows.append([
            *about, times['student'], times['teacher'], f'{times["step"]} ({low} to {high})',
            f'**{run["ratio"]:.2f}**', times['all optimizers'],
            f'{_mib(run["memory"]["step"])} / {_mib(run["memory"]["student"])}',
        ])  # fmt: skip
    head = ['model', 'necks', 'precision', 'student, ms', 'teacher, ms', 'whole step, ms', 'over the floor']
    return markdown([*head, 'optimizers, ms', 'peak MiB, whole / student'], rows)


def _mib(size: float) -> str:
    return f'{size / 2**20:,.0f}'


def _peers() -> str:
    found = _read_json('peers/results.json')
    rows = [
        [
            row['method'], f'{row["step_s"]:.1f}', f'{min(row["seconds"]):.1f} to {max(row["seconds"]):.1f}',
            f'{row["over_student"]:.2f}', _mib(row['peak_bytes']), _mib(row['checkpoint_bytes']),
            f'{row["distill_loss"]:.6g}',
        ]
        for row in found['rows']
    ]  # fmt: skip
    head = ['', 'a step, s', 'rounds', 'over the student alone', 'peak memory, MiB', 'checkpoint, MiB']
    libraries = _mib(found['rows'][0]['before_bytes'])
    note = f'Of the peak memory of each row {libraries} MiB are libraries. mmrazor {found["settings"]["versions"]["mmrazor"]}.'
    return markdown([*head, 'loss of distillation'], rows) + f'\n\n{note}'


def _peers_ratios() -> str:
    found = {row['method']: row for row in _read_json('peers/results.json')['rows']}
    pairs = [(f'{name} dpk_mm', f'{name} mmrazor') for name in ('CWD', 'PKD', 'MGD')]
    pairs += itertools.product(('DPK dpk_mm', 'DPK lean dpk_mm'), ('CWD mmrazor', 'MGD mmrazor'))
    rows = []
    for name, other in pairs:
        own, theirs = found[name], found[other]
        rounds = [a / b for a, b in zip(own['seconds'], theirs['seconds'])]
        memory = (own['peak_bytes'] - theirs['peak_bytes']) / 2**20
        rows.append([
            f'{name} over {other}', f'{own["step_s"] / theirs["step_s"]:.3f}',
            f'{min(rounds):.3f} to {max(rounds):.3f}', f'{memory:+,.0f}',
        ])  # fmt: skip
    return markdown(['', 'a step', 'rounds', 'peak memory, MiB'], rows)


def _prior(samples: str, title: str, sizes: Dict[str, str], batches: Sequence[str]) -> str:
    """The times of the prior: a row for each map (title -> size), a column for each batch."""
    ms = {
        (line['map'], line['batch']): line['ms']
        for line in read_lines(EXPERIMENTS / 'scaling/prior.csv')
        if line['samples'] == samples
    }
    rows = [[row, *(ms[size, batch] for batch in batches)] for row, size in sizes.items()]
    return markdown([title, *(f'B {batch}' for batch in batches)], rows)


def _parts(config: str) -> List[List[Any]]:
    """Name, weights and kept MiB of each part of a training step."""
    lines = read_lines(EXPERIMENTS / 'scaling/memory.csv')
    return [
        [a['part'], int(a['weights']), float(a['kept_mib'])] for a in lines if a['config'] == f'{config}.py'
    ]


def _memory(title: str, config: str, lean: str) -> str:
    sides = [_parts(config), _parts(lean)]
    for side in sides:
        side.append(['**all**', sum(part[1] for part in side), sum(part[2] for part in side)])
    rows = [
        [a[0], *(cell for _, weights, kept in (a, b) for cell in (f'{weights / 1e6:.1f}', f'{kept:,.0f}'))]
        for a, b in zip(*sides)
    ]
    return markdown([title, 'weights, M', 'kept', 'weights, M, lean', 'kept, lean'], rows)


def _traffic() -> str:
    rows = []
    for alone, pair, config, data in (
        ('ResNet-18', 'R34 to R18', 'resnet34_resnet18', 'in1k'),
        ('RetinaNet R50', 'RetinaNet R101 to R50', 'retinanet_r101_r50', 'coco'),
    ):
        whole, lean = _parts(f'{config}_{data}'), _parts(f'{config}_lean_{data}')
        for title, parts in ((alone, whole[:1]), (f'{pair}, lean necks', lean), (pair, whole)):
            weights = sum(part[1] for part in parts)
            sent = [f'{8 * (n - 1) / n * weights / 1e6:,.0f}' for n in (8, 64, 512)]
            rows.append([title, f'{weights / 1e6:.1f}', *sent])
    return markdown(['MB sent by a GPU in a step', 'weights, M', '8 GPUs', '64', '512'], rows)


# name of a table -> what makes it
COSTS: Dict[str, Callable[[], str]] = {
    'speed': _speed,
    'speed_parts': _speed_parts,
    'gpu': _gpu,
    'peers': _peers,
    'peers_ratios': _peers_ratios,
    'scaling_images': functools.partial(
        _prior, 'images', 'images as samples',
        {'256, 512 channels, 14 x 14': '14 x 14', '512, 1024 channels, 7 x 7': '7 x 7'}, ('8', '32', '128', '256'),
    ),
    'scaling_positions': functools.partial(
        _prior, 'positions', 'positions as samples (detection), 256 channels',
        {size: size for size in ('100 x 168', '50 x 84', '25 x 42', '13 x 21')}, ('1', '2', '4', '8'),
    ),
    'scaling_memory_resnet': functools.partial(
        _memory, 'ResNet-34 to ResNet-18, 256 images of 224 x 224', 'resnet34_resnet18_in1k', 'resnet34_resnet18_lean_in1k'
    ),
    'scaling_memory_retinanet': functools.partial(
        _memory, 'RetinaNet R101 to R50, 2 images of 800 x 1344', 'retinanet_r101_r50_coco', 'retinanet_r101_r50_lean_coco'
    ),
    'scaling_traffic': _traffic,
}  # fmt: skip
