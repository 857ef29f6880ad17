"""Did it help? The answer of a comparison, in words."""

import math
from collections.abc import Sequence
from typing import Optional

from mmengine.config import Config

from dpk_mm.compare import table
from dpk_mm.compare.verdict import HELD, UNKNOWN, Verdict
from dpk_mm.methods.image_size import training_shape
from dpk_mm.utils.runner import load_config

ALONE = 'alone'  # the student without a teacher
START = 'start'  # the method that inherits and distils nothing
# What to try where nothing helped, in this order, and what our tables say of each step (docs/results).
ADVICE = {
    'Test the teacher alone': 'what is not clearly better has nothing to teach. The table has its figure.',
    "Let a detector inherit, by the method 'start'": "on blood cells the teacher's neck and head gave most.",
    "Take a cheap method, 'pkd' for a detector or 'dist' for a classifier": 'they led, or nearly.',
    "Change the weight: loss_weight=dict(type='auto', share=...)": 'it decided more than the method did.',
    'Train for longer, or with more seeds': 'a difference below the spread of the seeds is none.',
}


def compare_with(
    base: str,
    teacher: str,
    methods: Sequence[str],
    seeds: int,
    options: Optional[dict] = None,
    metric: Optional[str] = None,
) -> Config:
    """Make the input of a comparison of methods by name.

    Args:
        base (str): Config of the student alone.
        teacher (str): ``'CONFIG'`` or ``'CONFIG:CHECKPOINT'``.
        methods (Sequence[str]): Names for ``method``. Each row is what ``train.py --teacher`` makes of one.
        seeds (int): How many; they are 0, 1 and so on.
        options (dict, optional): As ``--cfg-options``, for all.
        metric (str, optional): What the table shows, as upstream names it. Defaults to the usual one.

    Returns:
        Config: What :func:`dpk_mm.compare.inputs.read` takes, with the student alone as the first row.
    """
    model = dict(init_student=None)  # as the method does by default
    if (shape := training_shape(load_config(base))) is not None:
        model['input_shape'] = shape
    rows = {
        name: dict(allow=['init_student'], model=dict(model, method=name))
        for name in methods
        if name != ALONE
    }
    return Config(
        dict(
            base=base,
            teacher=teacher,
            methods={ALONE: None, **rows},
            seeds=list(range(seeds)),
            options=options or {},
            metric=metric,
        )
    )


def answer(results: table.Results, metric: str, alone: str = ALONE) -> str:
    """Say of every method whether it helped, by how much, and what it costs.

    Args:
        results (dict): Of all runs.
        metric (str): The metric, from :func:`dpk_mm.compare.table.find_metric`.
        alone (str): The row that the others are compared with. Defaults to ``'alone'``.

    Returns:
        str: A line a method; where none helped, also what to try, in order.
    """
    found, costs = table.values(results, metric), table.step_costs(results, alone)
    lines, helped = [], False
    for name, seeds in results.items():
        # as where a detector found nothing
        if lost := [str(seed) for seed, result in seeds.items() if metric not in result['metrics']]:
            counts = 'is left out' if math.isnan(found[name][int(lost[0])]) else 'counts as 0'
            lines.append(f'{name}: the test gave no {metric} with seed {", ".join(lost)}, which {counts}.')
    told = len(lines)
    for name in found:
        gains = _gains(found, name, alone)
        if name == alone or not gains:
            continue
        verdict = Verdict(gains)
        helped |= verdict.words == HELD
        may = '' if verdict.words == HELD else 'may have '
        did = f'{may}helped' if verdict.mean > 0 else 'did not help'
        sure = verdict.words if verdict.words == UNKNOWN else 'significant'
        if verdict.p is None:
            sure = 'too few seeds for a test' if len(gains) < 3 else 'all seeds gain alike: no test'
        over = _over_start(found, name)
        few = f' Of {len(found[alone])} seeds it has {len(gains)}.' if len(gains) < len(found[alone]) else ''
        lines.append(f'{name} {did}: {verdict} of {metric} ({sure}).{few}{over} {_cost(costs[name])}')
    if helped or len(lines) == told:
        return '\n'.join(lines)
    if max(map(len, found.values())) < 3:
        return '\n'.join(
            [*lines, '', 'There are too few seeds for a test: give three, and it goes on from here.']
        )
    advice = [(what, why) for what, why in ADVICE.items() if START not in found or START not in what]
    tries = [f'{i}. {what}: {why}' for i, (what, why) in enumerate(advice, 1)]
    return '\n'.join([*lines, '', 'Nothing helped significantly. What to try, in this order:', *tries])


def _cost(ratio: float) -> str:
    """What a step takes; distillation saves no time, so less than alone is noise."""
    noise = ' That is noise.' if round(ratio, 2) < 1 else ''
    return f'A step takes {ratio:.2f} times as long.{noise}'


def _over_start(found: dict[str, dict[int, float]], name: str) -> str:
    """What a method gives beyond the teacher's neck and head, where that row is there."""
    if START not in found or name == START:
        return ''
    gains = _gains(found, name, START)
    return f" Over {START}, which has the teacher's neck and head: {Verdict(gains)}." if gains else ''


def _gains(found: dict[str, dict[int, float]], name: str, other: str) -> list[float]:
    """Those of :func:`dpk_mm.compare.table.gains` that are figures: a test may give none."""
    return [gain for gain in table.gains(found, name, other) if math.isfinite(gain)]
