"""What benchmark.py tells: how the times go together, tables and JSON."""

import re
import statistics
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

from dpk_mm.profiling.parts import place
from dpk_mm.profiling.step import OWN_OPTIMIZER, STUDENT, TEACHER, WHOLE, WHOLE_OPTIMIZER
from dpk_mm.utils.text import count, markdown

# operators, and kernels of GPUs, that count_flops() counts
_PRODUCTS = re.compile(r'conv|gemm|mm$|mm_|attention|flash|xmma|cutlass')
NAMES = {STUDENT: "student's training step alone", TEACHER: "teacher's forward pass", WHOLE: 'whole step'}


@dataclass
class Result:
    """What was measured.

    Args:
        settings (dict): How: config, batch, device and so on.
        seconds (dict): Task -> seconds of every round. A part of a stage is the task ``'<stage>: <part>'``.
        flops (dict): Task -> floating-point operations.
        parts (dict): Stage -> its parts.
        memory (dict): Of student, teacher and whole step -> peak in bytes; None where it is not measured.
        sizes (dict): Model -> number of parameters, bytes of its checkpoint.
        teacher_tokens (dict): Stage -> share of teacher tokens.
        operators (dict): Of torch -> seconds in a whole step, longest first; where that was asked for.
    """

    settings: Dict[str, Any]
    seconds: Dict[str, List[float]]
    flops: Dict[str, int]
    parts: Dict[str, List[str]] = field(default_factory=dict)
    memory: Dict[str, Optional[int]] = field(default_factory=dict)
    sizes: Dict[str, Tuple[int, int]] = field(default_factory=dict)
    teacher_tokens: Dict[str, float] = field(default_factory=dict)
    operators: Dict[str, float] = field(default_factory=dict)

    def median(self, task: str) -> float:
        """Seconds of a task."""
        return statistics.median(self.seconds[task])

    @property
    def floor(self) -> float:
        """Seconds of the student's step and the teacher's forward pass."""
        return self.median(STUDENT) + self.median(TEACHER)

    @property
    def floor_flops(self) -> int:
        """Floating-point operations of the two."""
        return self.flops[STUDENT] + self.flops[TEACHER]

    @property
    def ratio(self) -> float:
        """Time of the whole step over the floor."""
        return self.median(WHOLE) / self.floor

    @property
    def ratios(self) -> List[float]:
        """The same of every round."""
        rounds = zip(*(self.seconds[name] for name in (STUDENT, TEACHER, WHOLE)))
        return [whole / (student + teacher) for student, teacher, whole in rounds]

    @property
    def arithmetic_ratio(self) -> float:
        """Floating-point operations of the whole step over those of the floor."""
        return self.flops[WHOLE] / self.floor_flops

    @property
    def over_arithmetic(self) -> float:
        """By how much the step costs more than its arithmetic says: the one ratio over the other."""
        return self.ratio / self.arithmetic_ratio

    @property
    def optimizer(self) -> float:
        """Seconds of the update that are not the student's."""
        return self.median(WHOLE_OPTIMIZER) - self.median(OWN_OPTIMIZER)

    def part(self, stage: str, part: str) -> float:
        """Seconds of a part; 0 where the stage does not have it."""
        return self.median(f'{stage}: {part}') if part in self.parts[stage] else 0.0

    @property
    def remainder(self) -> float:
        """Seconds of the whole step that neither the floor nor a part accounts for; may be below 0."""
        parts = sum(self.part(stage, part) for stage, parts in self.parts.items() for part in parts)
        return self.median(WHOLE) - self.floor - parts - self.optimizer

    def to_json(self) -> Dict[str, Any]:
        """All of it, in seconds and bytes."""
        stages = {
            stage: {
                part: dict(seconds=self.part(stage, part), flops=self.flops[f'{stage}: {part}'])
                for part in parts
            }
            for stage, parts in self.parts.items()
        }
        return dict(
            settings=self.settings,
            median_seconds={name: self.median(name) for name in self.seconds},
            flops=self.flops,
            floor=dict(seconds=self.floor, flops=self.floor_flops),
            ratio=self.ratio,
            ratio_of_rounds=self.ratios,
            arithmetic_ratio=self.arithmetic_ratio,
            ratio_over_arithmetic=self.over_arithmetic,
            parts=stages,
            optimizer_beyond_student_seconds=self.optimizer,
            remainder_seconds=self.remainder,
            peak_memory_bytes=self.memory,
            models={
                name: dict(parameters=number, checkpoint_bytes=size)
                for name, (number, size) in self.sizes.items()
            },
            teacher_tokens=self.teacher_tokens,
            operator_seconds=self.operators,
            seconds=self.seconds,
        )

    def to_markdown(self) -> str:
        """The report."""
        settings = self.settings
        height, width = settings['input_shape']
        clock = ", of the processor's time" if settings['device'] == 'CPU' else ''
        head = (
            f'`{settings["config"]}`: {settings["batch_size"]} made-up images of {height} x {width}, '
            f'{settings["device"]}, {settings["threads"]} thread(s), '
            f'{"mixed" if settings["amp"] else "full"} precision, torch {settings["torch"]}; medians of '
            f'{settings["rounds"]} rounds in turns{clock}; all weights are random, no checkpoint was read.'
        )
        low, high = min(self.ratios), max(self.ratios)
        ratio = (
            f'**{self.ratio:.3f} x the floor** (rounds: {low:.3f} to {high:.3f}); by arithmetic '
            f'{self.arithmetic_ratio:.3f} x; ours / arithmetic **{self.over_arithmetic:.3f}**.'
        )
        tokens = ', '.join(f'{stage} {share:.2f}' for stage, share in self.teacher_tokens.items())
        notes = (
            'FLOPs are those of convolutions, matrix products and attention, forward and backward. Parts are '
            'measured one by one, forward and backward, on what they got in a real step; what is left, which '
            'may be below 0, is all else and the error of adding them up.'
        )
        if tokens:
            notes += f' Share of teacher tokens: {tokens}.'
        texts = [head, self._steps(), ratio, self._parts(), notes, self._sizes()]
        if self.operators:
            texts.append(self._operators())
        return '\n\n'.join(texts) + '\n'

    def _steps(self) -> str:
        """The table of step and floor."""
        rows = [self._row(NAMES[name], self.median(name), self.flops[name], name) for name in NAMES]
        rows.insert(2, self._row('floor: both', self.floor, self.floor_flops))
        return markdown(['', 'ms', 'of the floor', 'GFLOP', 'of the floor', 'peak memory'], rows)

    def _row(self, title: str, seconds: float, flops: int, name: Optional[str] = None) -> List[str]:
        memory = '-'
        if name is not None:
            peak = self.memory.get(name)
            memory = 'not measured' if peak is None else f'{peak / 1e6:.0f} MB'
        shares = f'{seconds / self.floor:.3f}', f'{flops / self.floor_flops:.3f}'
        return [title, f'{1e3 * seconds:.2f}', shares[0], f'{flops / 1e9:.3f}', shares[1], memory]

    def _parts(self) -> str:
        """The table of parts: a column a stage."""
        found = dict.fromkeys(part for parts in self.parts.values() for part in parts)
        names = sorted(found, key=place)
        rows = [self._part_row(name, [name]) for name in names]
        rows.append(self._part_row('sum of these', names))
        blank = ['-'] * len(self.parts)
        for title, seconds in (
            ('optimizers, beyond the student', self.optimizer),
            ('what is left', self.remainder),
        ):
            rows.append([title, *blank, f'{1e3 * seconds:.2f}', self._share(seconds), '-'])
        return markdown(['part (ms)', *self.parts, 'all', 'of the step', 'GFLOP'], rows)

    def _part_row(self, title: str, names: List[str]) -> List[str]:
        total, flops, cells = 0.0, 0, []
        for stage, parts in self.parts.items():
            own = [name for name in names if name in parts]
            seconds = sum(self.part(stage, name) for name in own)
            flops += sum(self.flops[f'{stage}: {name}'] for name in own)
            total += seconds
            cells.append(f'{1e3 * seconds:.2f}' if own else '-')
        return [title, *cells, f'{1e3 * total:.2f}', self._share(total), f'{flops / 1e9:.3f}']

    def _share(self, seconds: float) -> str:
        """Of the whole step."""
        return f'{100 * seconds / self.median(WHOLE):.1f} %'

    def _operators(self) -> str:
        """The table of what takes a hundredth of the step or more."""
        total = sum(self.operators.values())
        shares = {name: seconds / total for name, seconds in self.operators.items()}
        large = {name: share for name, share in shares.items() if share >= 0.01}
        rows = [[f'`{name}`', f'{100 * share:.1f} %'] for name, share in large.items()]
        products = sum(share for name, share in shares.items() if _PRODUCTS.search(name))
        others = f'{100 * (1 - sum(large.values())):.1f} %'
        rows.append([f'{len(shares) - len(large)} others', others])
        rows.append(['convolutions, matrix products, attention', f'{100 * products:.1f} %'])
        return markdown(['operator', 'of the whole step'], rows)

    def _sizes(self) -> str:
        """The table of models."""
        titles = dict(
            student='student',
            teacher='teacher',
            distiller='modules of distillation',
            checkpoint='what training saves: student and modules',
        )
        rows = [
            [titles[name], count(number), f'{size / 1e6:.2f} MB']
            for name, (number, size) in self.sizes.items()
        ]
        return markdown(['', 'parameters', 'checkpoint'], rows)
