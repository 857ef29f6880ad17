"""Fill a small disk under trainings: the last whole checkpoint must stay. It needs to mount a tmpfs."""

import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import processes
import torch

N = 12
SIZE = 64 << 20


def run(seed, n):
    """``n`` trainings, each on a disk with another amount of room; each is resumed with room enough."""
    rng = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix='campaign_'))
    kinds = processes.configs(folder)
    disk = folder / 'disk'
    disk.mkdir()
    figures = dict(trainings=0, disk_full=0, with_a_checkpoint=0, lost=0, equal_after_resume=0, failed=0)
    whole, sizes = {}, {}
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SIZE}', 'tmpfs', str(disk)], check=True)
    try:
        for i in range(n):
            if processes.late():
                break
            kind = list(kinds)[(i + seed) % len(kinds)]
            make = kinds[kind]
            if kind not in whole:
                code = processes.wait(_start(make, folder / kind), processes.PATIENCE)
                assert code == 0, folder / f'{kind}.log'
                whole[kind] = processes.final(folder / kind)
                sizes[kind] = max(path.stat().st_size for path in (folder / kind).glob('*.pth'))
            work_dir, ballast = disk / 'run', disk / 'ballast'
            # from less than one checkpoint to a bit more than the two that there are for a moment
            room = int(sizes[kind] * rng.uniform(0.9, 2.3)) + (100 << 10)
            ballast.write_bytes(b'x' * (SIZE - room))
            code = processes.wait(_start(make, work_dir, log=folder / f'{i}.log'), processes.PATIENCE)
            figures['trainings'] += 1
            figures['disk_full'] += code != 0
            # all that were ever put in place, and the one there is now
            there = [path for path in work_dir.glob('epoch_*.pth') if _opens(path)]
            saved = 'Saving checkpoint at 2' in (folder / f'{i}.log').read_text() or there
            figures['with_a_checkpoint'] += bool(saved)
            figures['lost'] += bool(saved) and not there
            ballast.unlink()
            code = processes.wait(_start(make, work_dir, True, folder / f'{i}.log'), processes.PATIENCE)
            good = code == 0 and processes.equal(processes.final(work_dir), whole[kind])
            figures['equal_after_resume' if good else 'failed'] += 1
            print(
                f'{i} {kind} with {room:,} bytes: {len(there)} there, {"equal" if good else code}', flush=True
            )
            shutil.rmtree(work_dir)
    finally:
        subprocess.run(['umount', '-l', str(disk)], check=True)
    return figures


def _opens(path):
    try:
        torch.load(path, weights_only=True)
        return True
    except Exception:
        return False


def _start(make, work_dir, resume=False, log=None):
    def job():
        cfg = make(work_dir)
        cfg.log_level = 'INFO'
        processes.train(cfg, resume)

    return processes.fork(job, log or work_dir.parent / f'{work_dir.name}.log')
