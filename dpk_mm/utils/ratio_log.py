"""The ratios that a run logged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Dict, Union

# stage -> step -> share of teacher tokens
Curves = Dict[str, Dict[int, float]]
# The most bytes of a line; mmengine's have hundreds.
_LONGEST = 1 << 20


def read_ratios(work_dir: Union[str, Path]) -> Curves:
    """Read the ratios that a run logged; where it was resumed, the later log counts.

    Args:
        work_dir (str or Path): The run's folder, or one of its parts.

    Returns:
        dict: Stage -> step -> ratio. mmengine logs means over its window, 10 steps by default.

    Raises:
        FileNotFoundError: No log of mmengine's lies there.
        ValueError: The log has no ratios.
    """
    logs = sorted(Path(work_dir).rglob('scalars.json'))
    if not logs:
        raise FileNotFoundError(f'{work_dir}: no scalars.json, as mmengine writes it, in this folder.')
    curves: Curves = {}
    for log in logs:
        found: Curves = {}
        for entry in _entries(log):
            for name, value in entry.items():
                if name.startswith('ratio_') and isinstance(entry.get('step'), int):
                    found.setdefault(name[len('ratio_') :], {})[entry['step']] = value
        for stage, later in found.items():
            # a training that began anew may have ended before the first one did
            before = {step: ratio for step, ratio in curves.get(stage, {}).items() if step < min(later)}
            curves[stage] = {**before, **later}
    if not curves:
        raise ValueError(f'{work_dir}: no ratio_<stage> in the log; was it a run of a distiller with priors?')
    return curves


def _entries(log: Path) -> Iterator[Dict[str, Any]]:
    """The lines of a log; the last may be cut off, as a kill or a full disk leaves it."""
    if not log.is_file():
        raise ValueError(f'{log} is no ordinary file')
    with log.open('rb') as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST + 1), b''), 1):
            if len(line) > _LONGEST:
                raise ValueError(f'{log}: line {number} has over {_LONGEST:,} bytes, which are allowed')
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                if not line.endswith(b'\n'):
                    return
                raise ValueError(f'{log}: line {number} is no JSON ({error})') from error
            if isinstance(entry, dict):
                yield entry
