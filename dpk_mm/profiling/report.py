"""What profile_step.py tells: the figures together, as JSON and as tables."""

import statistics
from typing import Any

from dpk_mm.utils.text import count, markdown

from .parts import OTHER
from .step import STEP, STUDENT, TEACHER

_FLOOR = 'floor'
_TITLES = {
    STUDENT: "student's training step alone",
    TEACHER: "teacher's forward pass",
    _FLOOR: 'floor: both',
    STEP: 'whole step',
}


def summarize(
    settings: dict[str, Any], seconds: dict[str, list[float]], flops: dict[str, int], **more: Any
) -> dict[str, Any]:
    """Put a step against its floor, which is the student's own step and the teacher's forward pass.

    Args:
        settings (dict): How it was measured: ``config``, ``batch_size``, ``input_shape``, ``rounds``,
            ``threads``, ``device``, ``amp`` and ``torch``.
        seconds (dict[str, list[float]]): Of ``student``, ``teacher`` and ``step``: seconds of every round.
        flops (dict[str, int]): Of the same: floating-point operations.
        **more: What :func:`to_markdown` tells, too: ``part_seconds``, ``peak_memory_bytes``, ``parameters``
            and ``teacher_tokens``.

    Returns:
        dict: All of it; ``ratio`` and ``flops_ratio`` are the step over the floor.
    """
    median = {name: statistics.median(values) for name, values in seconds.items()}
    median[_FLOOR] = median[STUDENT] + median[TEACHER]
    flops = dict(flops, floor=flops[STUDENT] + flops[TEACHER])
    rounds = zip(seconds[STUDENT], seconds[TEACHER], seconds[STEP])
    ratio, flops_ratio = (values[STEP] / values[_FLOOR] for values in (median, flops))
    return dict(
        settings=settings,
        ratio=ratio,
        ratio_of_rounds=[step / (student + teacher) for student, teacher, step in rounds],
        flops_ratio=flops_ratio,
        ratio_over_flops_ratio=ratio / flops_ratio,
        median_seconds=median,
        flops=flops,
        seconds=seconds,
        **more,
    )


def to_markdown(report: dict[str, Any]) -> str:
    """Write a report.

    Args:
        report (dict): Of :func:`summarize`.

    Returns:
        str: Markdown.
    """
    settings, rounds = report['settings'], report['ratio_of_rounds']
    clock = ", of the processor's time" if settings['device'] == 'CPU' else ''
    head = (
        f'`{settings["config"]}`: {settings["batch_size"]} made-up images of '
        f'{" x ".join(map(str, settings["input_shape"]))}, {settings["device"]}, {settings["threads"]} '
        f'thread(s), {"mixed" if settings["amp"] else "full"} precision, torch {settings["torch"]}. Medians '
        f'of {settings["rounds"]} rounds in turns{clock}; all weights are random.'
    )
    ratio = (
        f'**{report["ratio"]:.3f} x the floor** (rounds: {min(rounds):.3f} to {max(rounds):.3f}); by FLOPs '
        f'{report["flops_ratio"]:.3f} x; time / FLOPs **{report["ratio_over_flops_ratio"]:.3f}**.'
    )
    models = ', '.join(f'{name} {count(number)}' for name, number in report['parameters'].items())
    tokens = ', '.join(f'{stage} {share:.2f}' for stage, share in report['teacher_tokens'].items())
    notes = f'The profiler saw {1e3 * sum(report["part_seconds"].values()):.2f} ms a step. Weights: {models}.'
    notes += f' Share of teacher tokens: {tokens}.' * bool(tokens)
    return '\n\n'.join([head, _steps(report), ratio, _parts(report), notes]) + '\n'


def _steps(report: dict[str, Any]) -> str:
    """The table of step and floor."""
    seconds, flops, memory = (report[key] for key in ('median_seconds', 'flops', 'peak_memory_bytes'))
    rows = [
        [
            title,
            f'{1e3 * seconds[name]:.2f}',
            f'{seconds[name] / seconds[_FLOOR]:.3f}',
            f'{flops[name] / 1e9:.3f}',
            f'{flops[name] / flops[_FLOOR]:.3f}',
            f'{memory[name] / 1e6:.0f} MB' if name in memory else '-',
        ]
        for name, title in _TITLES.items()
    ]
    return markdown(['', 'ms', 'of the floor', 'GFLOP', 'of the floor', 'peak memory'], rows)


def _parts(report: dict[str, Any]) -> str:
    """The table of parts, forward and backward: a column a stage."""
    seconds, step = report['part_seconds'], report['median_seconds'][STEP]
    shares = {
        tuple(name.partition('/')[::2]): spent / sum(seconds.values()) for name, spent in seconds.items()
    }
    stages = list(dict.fromkeys(stage for _, stage in shares if stage))
    rows = []
    for part in sorted({part: None for part, _ in shares}, key=OTHER.__eq__):
        own = [f'{shares[part, stage]:.1%}' if (part, stage) in shares else '-' for stage in stages]
        total = sum(share for (name, _), share in shares.items() if name == part)
        rows.append([part, *own, f'{total:.1%}', f'{1e3 * total * step:.2f}'])
    rows.append(['sum', *['-'] * len(stages), f'{1:.1%}', f'{1e3 * step:.2f}'])
    return markdown(['part of the step', *stages, 'all', 'ms'], rows)
