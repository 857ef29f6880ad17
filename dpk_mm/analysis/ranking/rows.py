"""What rank_teachers.py knows of one model, and keeps from run to run."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, Optional

from dpk_mm.analysis.models import ModelSpec, slug
from dpk_mm.utils import cli
from dpk_mm.utils.files import read_json, write_json


@dataclass
class Row:
    """What is known of one candidate, or, without gap and cost, of the student."""

    label: str
    settings: dict  # what it was measured with; a row with other settings is measured anew
    params: int = 0
    # all that the evaluator reports of the model itself; empty for an untrained student
    metrics: Dict[str, float] = field(default_factory=dict)
    # stage -> 1 - CKA to the student; NaN where CKA is undefined
    gap: Dict[str, float] = field(default_factory=dict)
    cost: float = 0.0  # see measure_cost
    probe: dict = field(default_factory=dict)  # what the student's training was, but for the seed
    # seed -> all metrics of the student that was taught so; in its own row, alone
    taught: Dict[str, Dict[str, float]] = field(default_factory=dict)


def fingerprint(named: ModelSpec) -> str:
    """A text that changes with the config and with the checkpoint's file."""
    content = json.dumps(named.config.to_dict(), sort_keys=True, default=str) + str(named.checkpoint)
    if named.checkpoint and Path(named.checkpoint).is_file():
        stat = Path(named.checkpoint).stat()
        content += f'{stat.st_size} {stat.st_mtime_ns}'
    return hashlib.sha1(content.encode()).hexdigest()[:16]


def read_row(out: Path, label: str, settings: dict) -> Optional[Row]:
    """The row that an earlier run kept, if it was measured with the same settings."""
    path = _file(out, label)
    try:
        row = Row(**read_json(path)) if path.is_file() else None
    except ValueError as error:
        cli.die(str(error))
    except TypeError as error:  # other fields
        cli.die(f'{path} is damaged ({error}); remove it to have it made again')
    return row if row and row.settings == settings else None


def keep_row(out: Path, row: Row) -> None:
    """Write a row; a run that is killed leaves the old file or the new one, never a part."""
    write_json(_file(out, row.label), asdict(row))


def _file(out: Path, label: str) -> Path:
    return out / 'candidates' / f'{slug(label)}.json'
