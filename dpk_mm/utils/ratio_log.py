"""The ratios that a run logged."""

import json
from pathlib import Path
from typing import Dict, Union

# stage -> step -> share of teacher tokens
Curves = Dict[str, Dict[int, float]]


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
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            for name, value in entry.items():
                if name.startswith('ratio_'):
                    curves.setdefault(name[len('ratio_') :], {})[entry['step']] = value
    if not curves:
        raise ValueError(f'{work_dir}: no ratio_<stage> in the log; was it a run of a distiller with priors?')
    return curves
