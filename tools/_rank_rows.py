"""What rank_teachers.py knows of one model, and keeps from run to run."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, Optional

from _models import Named

from dpk_mm.benchmark.run import write_json


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


def fingerprint(named: Named) -> str:
    """A text that changes with the config and with the checkpoint's file."""
    content = json.dumps(named.config.to_dict(), sort_keys=True, default=str) + str(named.checkpoint)
    if named.checkpoint and Path(named.checkpoint).is_file():
        stat = Path(named.checkpoint).stat()
        content += f'{stat.st_size} {stat.st_mtime_ns}'
    return hashlib.sha1(content.encode()).hexdigest()[:16]


def slug(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r'[^0-9A-Za-z.-]+', '_', text).strip('_')


def read_row(out: Path, label: str, settings: dict) -> Optional[Row]:
    """The row that an earlier run kept, if it was measured with the same settings."""
    path = _file(out, label)
    row = Row(**json.loads(path.read_text())) if path.is_file() else None
    return row if row and row.settings == settings else None


def keep_row(out: Path, row: Row) -> None:
    """Write a row; a run that is killed leaves the old file or the new one, never a part."""
    write_json(_file(out, row.label), asdict(row))


def _file(out: Path, label: str) -> Path:
    return out / 'candidates' / f'{slug(label)}.json'
