"""Kill trainings at random moments; each is resumed and must end as if nothing had been."""

import hashlib
import random
import shutil
import tempfile
import time
from pathlib import Path

import processes
import torch

N = 50


def run(seed, n):
    """``n`` kills, over six kinds of training in turn."""
    rng = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix='campaign_'))
    kinds = processes.configs(folder)
    whole = _kept()
    figures = dict(kills=0, equal=0, failed=0, different=0)
    for i in range(n):
        if processes.late():
            break
        kind = list(kinds)[(i + seed) % len(kinds)]
        if kind not in whole:
            start = time.monotonic()
            assert processes.wait(_start(kinds[kind], folder / kind, False), processes.PATIENCE) == 0, (
                folder / f'{kind}.log'
            )
            whole[kind] = processes.final(folder / kind), time.monotonic() - start
            torch.save(whole, _place())
        undisturbed, duration = whole[kind]
        work_dir = folder / f'{kind}_{i}'
        code = 0
        while code == 0:  # it ended before it was killed
            shutil.rmtree(work_dir, ignore_errors=True)
            pid = _start(kinds[kind], work_dir, False)
            moment = rng.uniform(0.05, 0.95) * duration
            time.sleep(moment)
            code = processes.kill(pid)
        figures['kills'] += 1
        code = processes.wait(_start(kinds[kind], work_dir, True), processes.PATIENCE)
        if code != 0:
            outcome = 'failed'
        else:
            outcome = 'equal' if processes.equal(processes.final(work_dir), undisturbed) else 'different'
        figures[outcome] += 1
        print(f'{i} {kind} killed at {moment:.2f} of {duration:.2f} s: {outcome}', flush=True)
        if outcome == 'equal':
            shutil.rmtree(work_dir)
    if figures['equal'] == figures['kills']:
        shutil.rmtree(folder)
    return figures


def _place():
    """Where the ends of undisturbed trainings with this code are kept, for the next turn."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[2].glob('dpk_mm/**/*.py')):
        digest.update(path.read_bytes())
    digest.update(Path(processes.__file__).read_bytes())
    return Path(tempfile.gettempdir(), f'campaign_kills_{digest.hexdigest()[:16]}.pth')


def _kept():
    return torch.load(_place(), weights_only=True) if _place().exists() else {}


def _start(kind, work_dir, resume):
    work_dir.parent.mkdir(exist_ok=True)
    log = work_dir.parent / f'{work_dir.name}.log'
    return processes.fork(lambda: processes.train(kind(work_dir), resume), log)
