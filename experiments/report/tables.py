"""The tables of the pages, each made from the files of a study or from the code of the methods."""

import inspect
import itertools
import re
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List

import assertions
from costs import COSTS
from mmdet.models.detectors import RetinaNet
from mmengine.config import Config
from mmengine.registry import DefaultScope
from pairs import PAIRS
from study import EXPERIMENTS, Study
from torch import nn
from trend import best_epochs
from verdicts import Claim, Finding

from dpk_mm.compare import csv_files, inputs
from dpk_mm.compare.verdict import FAILED, HELD, UNKNOWN, Verdict
from dpk_mm.methods import Level, Pair, maps
from dpk_mm.registry import METHODS
from dpk_mm.utils.text import markdown, spread


def make_all() -> Dict[str, Callable[[], str]]:
    """Name of a table, as pages have it -> what makes it.

    The table of each study that tools/compare.py ran has the name of its folder, and that of its best epochs has
    ``_epochs`` behind it.
    """
    made = {
        file.parent.name: Study(file.parent).table
        for file in sorted(EXPERIMENTS.glob('*/results.csv'))
        if file.with_name('compare.py').exists()
    }
    for file in sorted(EXPERIMENTS.glob('*/epochs.csv')):
        made[f'{file.parent.name}_epochs'] = partial(best_epochs, file.parent)
    return {**made, **_OTHERS}


def claims() -> List[Claim]:
    """What the runs say of the papers' claims, in the order of ``assertions.CLAIMS``.

    Raises:
        KeyError: A claim names a row that was not run.
    """
    return [
        Claim(
            claim,
            paper,
            [
                Finding(on, Verdict(Study(EXPERIMENTS / name).gains(of, over)), said)
                for on, name, of, over, said in found
            ],
        )
        for claim, paper, found in assertions.CLAIMS
    ]


def not_run(folder: Path = EXPERIMENTS) -> str:
    """A table of the inputs of tools/compare.py that have rows without results.

    Where others have some, the student alone may be left out.

    Args:
        folder (Path): Defaults to ``experiments/``.
    """
    rows = []
    for file in sorted(folder.glob('*/compare.py')):
        results = file.with_name('results.csv')
        done = csv_files.read_csv(results.read_text(encoding='utf-8')) if results.exists() else {}
        found = [
            len(set(row.seeds) - set(done.get(row.name, {})))
            for row in inputs.read(Config.fromfile(str(file))).rows
            if not (row.is_alone and done)
        ]
        if any(found):
            # what the file says before its commands, which are further in
            head = itertools.takewhile(
                re.compile('# (?! )').match, file.read_text(encoding='utf-8').splitlines()
            )
            about = ' '.join(line[2:] for line in head).rstrip(':.') + '.'
            path = file.relative_to(folder.parent).as_posix()
            rows.append([f'`{path}`', about, f'{sum(map(bool, found))}', f'{sum(found)}'])
    return markdown(['input', 'what', 'rows', 'runs'], rows, 'llrr')


def _claims() -> str:
    rows = []
    for claim, paper, found in claims():
        for i, (on, verdict, _) in enumerate(found):
            words = verdict.words if verdict.words == UNKNOWN else f'**{verdict.words}**'
            rows.append([*(('', '') if i else (claim, paper)), on, f'{verdict}', words])
    return markdown(['claim', 'its paper', 'here', 'gain', 'verdict'], rows, 'lllrl')


def _teachers() -> str:
    points = Study(EXPERIMENTS / 'cifar100_teachers').series['dpk']
    return markdown(
        ['teacher itself', 'top-1, test images'], [[point.teacher, f'{point.own:.2f}'] for point in points]
    )


def _ranking() -> str:
    lines = (EXPERIMENTS / 'cifar100_teachers/ranking.md').read_text(encoding='utf-8').splitlines()
    return '\n'.join(line for line in lines if line.startswith('|'))


def _lean() -> str:
    rows = []
    for title, name, larger, lean, form in (
        ('CIFAR-100, top-1', 'cifar100_short', 'dpk, cka', 'dpk, cka, lean necks', '.2f'),
        (
            'CIFAR-100, top-1, residual',
            'cifar100_short',
            'dpk, cka, residual',
            'dpk, cka, lean necks, residual',
            '.2f',
        ),
        ('blood cells, AP', 'bccd', "dpk, cka, authors' necks", 'dpk, cka, lean necks', '.1f'),
    ):
        runs = Study(EXPERIMENTS / name)
        means = [runs.mean(neck, form=form) for neck in (larger, lean)]
        rows.append([title, *means, runs.gain(lean, larger), runs.step_ms(larger), runs.step_ms(lean)])
    head = ['', 'larger necks', "`preset='lean'`", 'lean against larger', 'ms of a step, larger', 'lean']
    return markdown(head, rows)


def _start() -> str:
    """Rows of CIFAR-100 before 1.0 and with it, on the seeds that both have."""
    before, after = (Study(EXPERIMENTS / name).values() for name in ('cifar100_short', 'cifar100_start'))
    rows = []
    for name, new in after.items():
        seeds = [seed for seed in new if seed in before[name]]
        old, now = ([of[seed] for seed in seeds] for of in (before[name], new))
        verdict = Verdict([b - a for a, b in zip(old, now)])
        rows.append([name, spread(old, '.2f'), spread(now, '.2f'), f'{verdict}'])
    return markdown(['method', 'before 1.0', '1.0', 'difference, paired by seed'], rows)


def _auto() -> str:
    """Weights that find themselves, against those of a search and those of papers."""
    rows = []
    folders = {
        'auto_cifar100': 'CIFAR-100, top-1',
        'auto_bccd': 'blood cells, AP',
        'auto_bccd_dpk': 'blood cells, AP, another teacher',
        'auto_coco': 'persons of COCO, AP',
    }
    for folder, on in folders.items():
        study = Study(EXPERIMENTS / folder)
        methods = [name.removesuffix(', auto') for name in study.results if name.endswith(', auto')]
        for method in methods:
            cells = [on, method]
            for other in ('tuned', 'published'):
                verdict = Verdict(study.gains(f'{method}, auto', f'{method}, {other}'))
                words = {HELD: 'better', FAILED: 'worse', UNKNOWN: 'not significant'}[verdict.words]
                cells += [f'{verdict}', words]
            rows.append(cells)
    head = ['on', 'method', 'auto against tuned', '', 'auto against published', '']
    return markdown(head, rows, 'llrlrl')


_START = 'inherited start'
_RECIPE = {
    'recipe_bccd': 'blood cells, RetinaNet',
    'recipe_demo': 'digits, RetinaNet',
    'recipe_retinanet': 'persons of COCO, RetinaNet',
    'recipe_gfl': 'persons of COCO, GFL',
}


def recipe() -> List[Claim]:
    """What PKD, FGD and DPK give over the start that all inherit, and DPK over PKD, on every pair of detectors."""
    pairs = [('pkd', _START), ('fgd', _START), ('dpk', _START), ('dpk', 'pkd')]
    found = []
    for folder, on in _RECIPE.items():
        study = Study(EXPERIMENTS / folder)
        verdicts = {
            f'{of.upper()} over {over.replace("pkd", "PKD")}': Verdict(study.gains(of, over))
            for of, over in pairs
        }
        found.append(Claim(on, '', [Finding(name, verdict, '') for name, verdict in verdicts.items()]))
    return found


def _recipe() -> str:
    rows = []
    for (folder, on), pair in zip(_RECIPE.items(), recipe()):
        study = Study(EXPERIMENTS / folder)
        times = ', '.join(study.step_ms(name) for name in (_START, 'pkd', 'fgd', 'dpk'))
        gains = [f'{finding.verdict}' for finding in pair.findings]
        rows.append([on, study.mean(_START, form='.1f'), *gains, times])
    head = ['AP on', _START, 'PKD over it', 'FGD over it', 'DPK over it', 'DPK over PKD', 'ms of a step']
    return markdown(head, rows, 'lrrrrrr')


def _expect() -> str:
    """What the parts of a distillation give on real photographs, each over the one before."""
    study = Study(EXPERIMENTS / 'recipe_bccd')
    titles = {
        'alone': 'the student alone',
        'inherited start': "from the teacher's neck and head",
        'pkd': "and with PKD (`method='pkd'`)",
        'dpk': "and with DPK's necks before PKD's loss (`method='dpk'`)",
    }
    rows, before = [], None
    for name, title in titles.items():
        more = f'{study.gain(name, before)} ({study.p(name, before)})' if before else '–'
        rows.append([title, study.mean(name, form='.1f'), more])
        before = name
    return markdown(['', 'AP', 'over the line above'], rows, 'lrr')


def _which() -> str:
    """Four cases, a method for each, and what the runs say of it."""
    cifar = Study(EXPERIMENTS / 'cifar100_short')

    def ranges(which: str, what: str) -> str:
        verdicts = [verdict for pair in recipe() for on, verdict, _ in pair.findings if on == which]
        means = [verdict.mean for verdict in verdicts]
        sure = sum(verdict.words != UNKNOWN for verdict in verdicts)
        pairs = f'on {len(verdicts)} pairs, significant on {sure or "none"}'
        return f'{min(means):+.1f} to {max(means):+.1f} {what}, {pairs}'

    def said(study: Study, name: str, other: str, what: str) -> str:
        return f'{study.gain(name, other)} {what} ({study.p(name, other)})'

    residual = 'dpk, cka, lean necks, residual'
    over_kd = said(cifar, residual, 'kd', 'points over KD')
    rows = [
        ['a detector', "`'pkd'`", ranges(f'PKD over {_START}', 'AP over the inherited start')],
        ['a detector, and time for necks', "`'dpk'`", ranges('DPK over PKD', 'AP over PKD')],
        ['a classifier', "`'dist'`", said(cifar, 'dist', 'kd', 'points over KD')],
        [
            'a classifier, and time for necks',
            "`'dpk'`",
            f'{over_kd}, {said(cifar, residual, "kd + fitnet", "over KD + FitNet")}',
        ],
    ]
    return markdown(['you have', '`method=`', 'in our short schedules'], rows, 'lll')


def _pair(kind: str) -> Pair:
    """A detector, a segmentor or a classifier, and a teacher of the same layers."""
    detects, segments = kind == 'detectors', kind == 'segmentors'
    if detects:
        with DefaultScope.overwrite_default_scope('mmdet'):  # another may be left of a training
            head = dict(type='RetinaHead', num_classes=80, in_channels=256)
            model = RetinaNet(dict(type='ResNet', depth=18), None, head)
    else:
        blocks = nn.Sequential(nn.Identity(), nn.Identity())
        model = nn.ModuleDict(dict(backbone=nn.ModuleDict(dict(layer1=blocks))))
    levels = tuple(Level(f'p{i}', 'neck', 'neck', 256, 256, (512 >> i, 512 >> i), 1 << i) for i in (3, 4, 5))
    logits = None if detects else Level('logits', 'head.fc', 'head.fc', 1000, 1000)
    return Pair(model, model, levels, logits, detects, segments=segments)


def _methods() -> str:
    """What each method does, in the words of its function, and what it fits."""
    kinds = ['detectors', 'classifiers', 'segmentors']
    pairs = [_pair(kind) for kind in kinds]
    rows = []
    for name, method in sorted(METHODS.module_dict.items()):
        text = re.sub(r':\w+:(`[^`]+`)', r'\1', ' '.join(inspect.getdoc(method).split()))
        fits = []
        for pair in pairs:
            try:
                method(pair)
                fits.append('yes')
            except ValueError:
                fits.append('no')
        rows.append([f"`'{name}'`", re.match(r'.*?\.(?= [A-Z]|$)', text)[0], *fits])
    return markdown(['method', 'what it does', *kinds], rows, 'lllll')


def _fgd_weights() -> str:
    """FGD's weights by the student's head, with the labels of their lines in the code."""
    labels = dict(re.findall(r"^    '(\w+)': \(.*\),  # (.+)$", inspect.getsource(maps), re.MULTILINE))
    rows = [
        [f'`{head}`', *(f'{weight:g}' for weight in weights), labels[head]]
        for head, weights in maps.FGD_WEIGHTS.items()
    ]
    head = ['box head', 'alpha_fg', 'beta_bg', 'gamma_mask', 'lambda_rela', 'temp', 'from']
    return markdown(head, rows, 'lrrrrrl')


_demo, _demo_cls, _weights = (Study(EXPERIMENTS / name) for name in ('demo', 'demo_cls', 'cifar100_weights'))
_top1, _ap = 'accuracy/top1', 'coco/bbox_mAP'
_OTHERS: Dict[str, Callable[[], str]] = {
    'claims': _claims,
    'not_run': not_run,
    'methods': _methods,
    'fgd_weights': _fgd_weights,
    'auto': _auto,
    'expect': _expect,
    'recipe': _recipe,
    'which': _which,
    'start': _start,
    'demo': lambda: _demo.means({'AP': _ap, 'AP50': f'{_ap}_50'}, params=True),
    'demo_seeds': lambda: _demo.seeds(_ap, 'AP'),
    'demo_cls': lambda: _demo_cls.means({'top-1': _top1}, params=True),
    'demo_cls_seeds': lambda: _demo_cls.seeds(_top1, 'top-1'),
    'cifar100_weights': lambda: _weights.means({'top-1': _top1, 'top-5': 'accuracy/top5'}, '.2f'),
    'cifar100_weights_seeds': lambda: _weights.seeds(_top1, 'top-1', '.2f'),
    'cifar100_teachers_own': _teachers,
    'cifar100_teachers_ranking': _ranking,
    'bccd_sizes': lambda: Study(EXPERIMENTS / 'bccd').means(
        {'AP': _ap, 'AP50': f'{_ap}_50', 'AP75': f'{_ap}_75', 'APs': f'{_ap}_s', 'APm': f'{_ap}_m', 'APl': f'{_ap}_l'}
    ),
    'lean': _lean,
    **COSTS,
    **PAIRS,
}  # fmt: skip
