"""The tables of docs/pairs.md: the pairs of configs/dpk with upstream's figures of both models, and the pairs that ran."""

import functools
import json
import re
from pathlib import Path
from typing import Callable, Dict, List, Optional

import mmdet
import mmpretrain
from mmengine.config import Config
from mmengine.fileio import load
from study import EXPERIMENTS, Study

from dpk_mm.compare import table
from dpk_mm.utils.text import markdown

CONFIGS = EXPERIMENTS.parent / 'configs/dpk'
NOT_MEASURED = 'not measured'
# upstream's model without a schedule -> the config by which upstream trained it
_TRAINED = {'mmpretrain::_base_/models/resnet18.py': 'mmpretrain::resnet/resnet18_8xb32_in1k.py'}


@functools.cache
def _models(folder: Path) -> List[dict]:
    """The models of the metafiles of a folder."""
    return [model for file in sorted(folder.glob('metafile.yml')) for model in load(file)['Models']]


def published(name: str, metric: str) -> str:
    """The figure that upstream publishes of one of its configs.

    Args:
        name (str): Such as ``'mmdet::retinanet/retinanet_r50_fpn_2x_coco.py'``, or a file of ours.
        metric (str): As the metafile of upstream's package calls it, such as ``'box AP'``.

    Returns:
        str: One digit after the point, or "not published".
    """
    package, _, path = name.partition('::')
    if path:
        root = Path({'mmdet': mmdet, 'mmpretrain': mmpretrain}[package].__file__).parent / '.mim'
        for model in _models((root / 'configs' / path).parent):
            if model['Config'] == f'configs/{path}':
                return f'{model["Results"][0]["Metrics"][metric]:.1f}'
    return 'not published'


def _student(config: Path) -> str:
    """The config of the student that a file of ours builds on."""
    base = re.search(r"^_base_ = \[?'(.+?)'", config.read_text(encoding='utf-8'), re.M)[1]
    return _student(config.parent / base) if base.startswith('./') and '/' not in base[2:] else base


def _teacher(config: Path) -> str:
    """The config of the teacher, without its file of weights."""
    return re.sub(r'(\.py):.*', r'\1', Config.fromfile(str(config)).model.teacher)


def _step(name: str) -> str:
    """What a step costs over the floor, on a CPU."""
    file = EXPERIMENTS / f'speed/{name}.json'
    return f'{json.loads(file.read_text(encoding="utf-8"))["ratio"]:.2f}' if file.exists() else NOT_MEASURED


def _gain(name: str) -> str:
    """What our metafile says of a config's result."""
    results = next(model for model in _models(CONFIGS) if model['Name'] == name).get('Results')
    return (
        ', '.join(f'{key} {value}' for key, value in results[0]['Metrics'].items())
        if results
        else NOT_MEASURED
    )


def upstream(data: str, metric: str, title: Optional[str] = None) -> str:
    """The pairs on a data set, without those of the authors' protocol, whose models are in other rows.

    Args:
        data (str): How the names of their files end.
        metric (str): As upstream's metafiles call it.
        title (str, optional): Of the columns with the metric. Defaults to the metric.
    """
    rows = []
    for config in sorted(CONFIGS.glob(f'*_{data}.py')):
        if 'pretrained-student' in config.name:
            continue
        names = [_teacher(config), _TRAINED.get(name := _student(config), name)]
        cells = [
            f'`{Path(name.partition("::")[2] or name).stem}`, {published(name, metric)}' for name in names
        ]
        rows.append([*cells, f'`{config.name}`', _step(config.stem), _gain(config.stem)])
    title = title or metric
    head = [f'teacher, {title}', f'student, {title}', 'file in `configs/dpk`', 'a step', 'gain']
    return markdown(head, rows, 'lllrr')


def measured() -> str:
    """The pairs of our short schedules: both models, and what the methods gave."""
    rows = []
    for pair, folder, page, methods in (
        (
            'RetinaNet, five epochs on blood cells', 'recipe_bccd', 'recipe',
            {"`'pkd'`": 'pkd', "`'dpk'`": 'dpk'},
        ),
        (
            'ResNet-20 -> ResNet-8, three epochs on CIFAR-100', 'cifar100_short', 'cifar100_short',
            {"`'dist'`": 'dist', "`'dpk'`, weights 100 and 60": 'dpk, cka, lean necks, residual'},
        ),
    ):  # fmt: skip
        study = Study(EXPERIMENTS / folder)
        teachers = Study(EXPERIMENTS / folder, 'teachers.csv').values()
        steps = table.step_costs(study.results)
        for title, name in methods.items():
            times = steps[name] / steps['alone']
            teacher = f'{next(iter(teachers[name].values())):.1f}'
            gain = f'{study.gain(name, "alone")} ({study.p(name, "alone")})'
            link = f'[{pair}](results/{page}.md)'
            rows.append([link, teacher, study.mean('alone', form='.1f'), title, f'{times:.2f}', gain])
    head = ['pair', 'teacher', 'student alone', '`method=`', "a step, over the student's", 'gain over alone']
    return markdown(head, rows)


# name of a table -> what makes it
PAIRS: Dict[str, Callable[[], str]] = {
    'pairs_coco': functools.partial(upstream, 'coco', 'box AP'),
    'pairs_in1k': functools.partial(upstream, 'in1k', 'Top 1 Accuracy', 'top-1'),
    'pairs_measured': measured,
}
